#include "worker/trainer/data/fetch/ready_marker.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "worker/trainer/data/fetch/fetch_error.h"

extern char** environ;

namespace lctl {
namespace {

namespace fs = std::filesystem;

class ReadyMarkerTest : public ::testing::Test {
 protected:
  ReadyMarkerTest() : folder_(fs::path(::testing::TempDir()) / "ready" / "set") {
    fs::remove_all(folder_);
  }

  // Whether the work was done by this call.
  bool once(const std::string& version) {
    return once_per_node(folder_, version, [&] { ++works_; });
  }

  fs::path folder_;
  std::atomic<int> works_ = 0;
};

TEST_F(ReadyMarkerTest, WorkIsDoneOnce) {
  EXPECT_TRUE(once("a"));
  EXPECT_FALSE(once("a"));
  EXPECT_EQ(works_, 1);
}

TEST_F(ReadyMarkerTest, AnotherVersionIsWorkAgain) {
  once("a");
  EXPECT_TRUE(once("a longer one"));
  EXPECT_TRUE(once("a"));
  EXPECT_EQ(works_, 3);
}

TEST_F(ReadyMarkerTest, WorkThatThrowsLeavesNoMarker) {
  EXPECT_THROW(once_per_node(folder_, "a", [] { throw std::out_of_range("x"); }),
               std::out_of_range);
  EXPECT_FALSE(fs::exists(folder_ / ".lctl-ready"));
  EXPECT_TRUE(once("a"));
}

TEST_F(ReadyMarkerTest, OldMarkerIsGoneWhileWorking) {
  once("a");
  once_per_node(folder_, "b", [&] { EXPECT_FALSE(fs::exists(folder_ / ".lctl-ready")); });
}

TEST_F(ReadyMarkerTest, OfManyThreadsOneWorks) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { once("a"); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(works_, 1);
}

TEST_F(ReadyMarkerTest, WaiterIsToldForWhomAndCanStop) {
  std::atomic<bool> working = false;
  std::atomic<bool> go = false;
  std::thread worker([&] {
    once_per_node(folder_, "a", [&] {
      working = true;
      while (!go) std::this_thread::yield();
    });
  });
  while (!working) std::this_thread::yield();
  std::vector<std::string> said;
  OncePerNodeOptions options;
  options.say = [&](const std::string& text) { said.push_back(text); };
  options.stopped = [&] { return !said.empty(); };
  try {
    once_per_node(folder_, "a", [] {}, options);
    ADD_FAILURE() << "did not wait";
  } catch (const FetchError& error) {
    EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(FetchErrorKind::kCancelled));
  }
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(said[0].find("process " + std::to_string(getpid())), std::string::npos) << said[0];
  EXPECT_NE(said[0].find("prepares " + folder_.string()), std::string::npos) << said[0];
  go = true;
  worker.join();
}

TEST_F(ReadyMarkerTest, MarkerThatIsALinkIsNone) {
  fs::create_directories(folder_);
  std::ofstream(folder_ / "elsewhere") << "a";
  fs::create_symlink(folder_ / "elsewhere", folder_ / ".lctl-ready");
  EXPECT_TRUE(once("a"));
  EXPECT_FALSE(once("a"));
}

TEST_F(ReadyMarkerTest, KilledWorkerLeavesNoMarker) {
  fs::create_directories(folder_);
  const std::string folder = folder_.string();
  const char* arguments[] = {"/proc/self/exe", "--work-for-ever", folder.c_str(), nullptr};
  pid_t child = 0;
  ASSERT_EQ(posix_spawn(&child, "/proc/self/exe", nullptr, nullptr,
                        const_cast<char* const*>(arguments), environ),
            0);
  while (!fs::exists(folder_ / "half")) std::this_thread::yield();
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(once("a"));
  EXPECT_FALSE(once("a"));
}

TEST_F(ReadyMarkerTest, FolderThatCannotBeMadeIsSaid) {
  std::ofstream(::testing::TempDir() + "/file") << "x";
  try {
    once_per_node(::testing::TempDir() + "/file/below", "a", [] {});
    ADD_FAILURE() << "no error";
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string(error.what()).find("file/below"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace lctl

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--work-for-ever") {
    lctl::once_per_node(argv[2], "a", [&] {
      std::ofstream(std::string(argv[2]) + "/half") << "x";
      while (true) pause();
    });
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
