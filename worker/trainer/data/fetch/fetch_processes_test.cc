// Several processes, and killed ones.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <iostream>
#include <thread>

#include "worker/trainer/data/fetch/testing/fetch_fixture.h"

extern char** environ;

namespace lctl::testing {
namespace {

namespace fs = std::filesystem;

// This program, as `--fetch CACHE URL`.
pid_t start(const fs::path& cache, const std::string& url) {
  const std::string folder = cache.string();
  const char* arguments[] = {"/proc/self/exe", "--fetch", folder.c_str(), url.c_str(), nullptr};
  pid_t child = 0;
  if (posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, const_cast<char* const*>(arguments),
                  environ) != 0)
    return -1;
  return child;
}

int status_of(pid_t child) {
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

class FetchProcessesTest : public FetchFixture {
 protected:
  std::string content_ = some_bytes(2'000'000);
};

// The first of this file: later ones fetch in this process, and libcurl stays.
TEST_F(FetchProcessesTest, LibcurlIsOpenedOnlyWhenItIsNeeded) {
  const auto loaded = [] {
    return content_of("/proc/self/maps").find("libcurl") != std::string::npos;
  };
  ASSERT_FALSE(loaded());
  std::ofstream(folder_ / "x") << "hello";
  fetch("file://" + (folder_ / "x").string() + "#sha256=" + sha256_of("hello"));
  EXPECT_FALSE(loaded());
}

TEST_F(FetchProcessesTest, ManyProcessesDownloadOnce) {
  HttpServer server([&](const Request& request) {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // the others come meanwhile
    return serve(request, content_, "\"one\"");
  });
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) children.push_back(start(folder_ / "cache", server.url("/x.bin")));
  for (const pid_t child : children) EXPECT_EQ(status_of(child), 0);
  EXPECT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(cached("sha256", "x.bin").size(), 1u);
}

TEST_F(FetchProcessesTest, KilledDownloadLooksUnfinishedAndIsContinued) {
  HttpServer server([&](const Request& request) {
    Reply reply = serve(request, content_, "\"one\"");
    if (request.header("range").empty()) {
      reply.cut_after = 1'000'000;
      reply.stall = std::chrono::seconds(60);
    }
    return reply;
  });
  const pid_t child = start(folder_ / "cache", server.url("/x.bin"));
  const auto received = [&] {
    const auto partial = cached("url", ".partial");
    return partial.empty() ? 0 : fs::file_size(partial[0]);
  };
  while (received() < 1'000'000) std::this_thread::yield();
  kill(child, SIGKILL);
  EXPECT_EQ(status_of(child), SIGKILL);
  EXPECT_TRUE(cached("sha256", "x.bin").empty());

  EXPECT_EQ(content_of(fetch(server.url("/x.bin"))), content_);
  EXPECT_EQ(server.requests().at(1).header("range"), "bytes=999999-");
}

TEST_F(FetchProcessesTest, DeathOfTheOneThatDownloadsLetsAWaiterGoOn) {
  std::atomic<int> count = 0;
  HttpServer server([&](const Request& request) {
    Reply reply = serve(request, content_, "\"one\"");
    if (count++ == 0) {
      reply.cut_after = 1'000'000;
      reply.stall = std::chrono::seconds(60);
    }
    return reply;
  });
  const pid_t child = start(folder_ / "cache", server.url("/x.bin"));
  while (count == 0) std::this_thread::yield();
  FetchOptions options = this->options();
  bool killed = false;
  options.say = [&](const std::string& text) {
    said_.push_back(text);
    if (!killed) kill(child, SIGKILL);
    killed = true;
  };
  EXPECT_EQ(content_of(Fetcher(options).fetch(server.url("/x.bin"))), content_);
  ASSERT_FALSE(said_.empty());
  EXPECT_NE(said_[0].find("waiting for process " + std::to_string(child)), std::string::npos)
      << said_[0];
  EXPECT_NE(said_[0].find("downloads http://127"), std::string::npos) << said_[0];
  EXPECT_EQ(status_of(child), SIGKILL);
}

TEST_F(FetchProcessesTest, ThreadsDownloadOnce) {
  HttpServer server([&](const Request& request) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return serve(request, content_, "\"one\"");
  });
  FetchOptions options = this->options();
  options.say = [](const std::string&) {};
  Fetcher fetcher(options);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { EXPECT_EQ(content_of(fetcher.fetch(server.url("/x"))), content_); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server.requests().size(), 1u);
}

}  // namespace
}  // namespace lctl::testing

int main(int argc, char** argv) {
  if (argc == 4 && std::string_view(argv[1]) == "--fetch") {
    lctl::FetchOptions options;
    options.cache = argv[2];
    try {
      lctl::Fetcher(options).fetch(argv[3]);
    } catch (const std::exception& error) {
      std::cerr << error.what() << "\n";
      return 1;
    }
    return 0;
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
