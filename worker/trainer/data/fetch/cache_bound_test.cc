// A bound for the cache: what goes, what stays, and what is said.
#include "worker/trainer/data/fetch/cache_bound.h"

#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <iostream>
#include <thread>

#include "worker/trainer/data/fetch/testing/fetch_fixture.h"

extern char** environ;

namespace lctl::testing {
namespace {

namespace fs = std::filesystem;

std::optional<std::uint64_t> bound_of(const std::string& text) {
  return cache_bound([&](const char*) { return text; });
}

class CacheBoundTest : public FetchFixture {
 protected:
  // Files of 100,000 bytes each, /1, /2, ...; without their length where the path says so.
  static constexpr std::size_t kSize = 100'000;

  CacheBoundTest()
      : server_([](const Request& request) {
          const unsigned number = static_cast<unsigned>(request.path.at(1));
          Reply reply = serve(request, some_bytes(kSize, number), "\"one\"");
          reply.with_length = request.path.find("chunked") == std::string::npos;
          return reply;
        }) {}

  FetchOptions bounded(std::uint64_t bytes) {
    FetchOptions options = this->options();
    options.cache_bound = bytes;
    return options;
  }

  // By a process of its own, so to say: what it used is free when it returns.
  fs::path fetch_and_end(int number, std::uint64_t bound = 250'000) {
    // Times of files are as coarse as the kernel's ticks.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return Fetcher(bounded(bound)).fetch(url(number));
  }

  std::string url(int number) const { return server_.url("/" + std::to_string(number)); }

  bool has(const fs::path& path) const { return fs::exists(path); }

  bool said(const std::string& words) const {
    for (const std::string& text : said_) {
      if (text.find(words) != std::string::npos) return true;
    }
    return false;
  }

  HttpServer server_;
};

TEST(CacheBoundVariableTest, SizesAreWrittenAsPeopleDo) {
  EXPECT_EQ(bound_of(""), std::nullopt);
  EXPECT_EQ(bound_of("200G"), 200'000'000'000u);
  EXPECT_EQ(bound_of("200GB"), 200'000'000'000u);
  EXPECT_EQ(bound_of("1.5TiB"), 1'649'267'441'664u);
  EXPECT_EQ(bound_of("2Gi"), 2'147'483'648u);
  EXPECT_EQ(bound_of("4096"), 4096u);
  for (const char* wrong : {"much", "0", "-1", "12 parsecs", "G"}) {
    try {
      bound_of(wrong);
      ADD_FAILURE() << wrong;
    } catch (const FetchError& error) {
      EXPECT_TRUE(error.permanent());
      EXPECT_NE(std::string(error.what()).find(std::string("LCTL_DATA_CACHE_SIZE=") + wrong),
                std::string::npos)
          << error.what();
    }
  }
}

TEST_F(CacheBoundTest, WhatWasUsedLongestAgoGoes) {
  const fs::path one = fetch_and_end(1);
  const fs::path two = fetch_and_end(2);
  fetch_and_end(1);  // used again
  const fs::path three = fetch_and_end(3);
  EXPECT_TRUE(has(one));
  EXPECT_FALSE(has(two));
  EXPECT_TRUE(has(three));
  EXPECT_TRUE(said("removed what was used longest ago"));
  EXPECT_TRUE(said("one file, to make room for http://127.0.0.1"));
  EXPECT_TRUE(said("LCTL_DATA_CACHE_SIZE"));
  EXPECT_FALSE(fs::exists(folder_ / "cache" / "trash"));
  EXPECT_EQ(content_of(fetch_and_end(2)), some_bytes(kSize, '2'));
}

TEST_F(CacheBoundTest, NothingGoesWithoutABound) {
  std::vector<fs::path> paths;
  for (int i = 1; i < 6; ++i) paths.push_back(fetch(url(i)));
  for (const fs::path& path : paths) EXPECT_TRUE(has(path));
}

TEST_F(CacheBoundTest, WhatIsInUseStaysAndItIsSaid) {
  Fetcher running(bounded(250'000));
  const fs::path one = running.fetch(url(1));
  const fs::path two = running.fetch(url(2));
  expect_error([&] { fetch_and_end(3); }, FetchErrorKind::kDiskFull, false,
               {"/3", "in use by jobs that run", "LCTL_DATA_CACHE_SIZE"});
  expect_error([&] { running.fetch(url(3)); }, FetchErrorKind::kDiskFull, false, {"in use"});
  EXPECT_TRUE(has(one));
  EXPECT_TRUE(has(two));
}

TEST_F(CacheBoundTest, AFileAboveTheBoundIsRefusedAtOnce) {
  const fs::path one = fetch_and_end(1, 150'000);
  expect_error([&] { fetch_and_end(2, 50'000); }, FetchErrorKind::kDiskFull, true,
               {"/2", "takes 100000 bytes", "may hold 50000 bytes", "LCTL_DATA_CACHE_SIZE"});
  EXPECT_TRUE(has(one));
}

TEST_F(CacheBoundTest, AFileWithoutALengthMakesRoomAsItComes) {
  fetch_and_end(1);
  fetch_and_end(2);
  Fetcher(bounded(70'000'000)).fetch(server_.url("/3chunked"));
  EXPECT_EQ(cached("sha256", "3chunked").size(), 1u);
  expect_error([&] { Fetcher(bounded(250'000)).fetch(server_.url("/4chunked")); },
               FetchErrorKind::kDiskFull, false, {"/4chunked"});
}

TEST_F(CacheBoundTest, ForgottenPartsGoFirst) {
  HttpServer broken([](const Request& request) {
    Reply reply = serve(request, some_bytes(200'000), "\"one\"");
    reply.cut_after = 1000;
    return reply;
  });
  FetchOptions once = bounded(250'000);
  once.attempts = 1;
  EXPECT_THROW(Fetcher(once).fetch(broken.url("/x")), FetchError);
  EXPECT_EQ(cached("url", ".partial").size(), 1u);
  const fs::path one = fetch_and_end(1);
  EXPECT_TRUE(cached("url", ".partial").empty());
  EXPECT_TRUE(has(one));
}

TEST_F(CacheBoundTest, WhatAnArchiveBecameCountsAndGoesWithIt) {
  fs::path place;
  {
    Fetcher fetcher(bounded(1'010'000));
    place = fetcher.place_for(fetcher.fetch(url(1)));
    fetcher.make_room(url(1), 800'000);
    fs::create_directories(place / "files");
    std::ofstream(place / "files" / "x") << "x";
    std::ofstream(place / kSizeNote) << "800000";
  }
  fetch_and_end(2, 1'010'000);
  EXPECT_TRUE(has(place / "files" / "x"));
  fetch_and_end(3, 1'010'000);
  EXPECT_FALSE(has(place));
}

TEST_F(CacheBoundTest, AnotherProcessKeepsWhatItUses) {
  int ready[2] = {};
  ASSERT_EQ(pipe(ready), 0);
  const std::string cache = (folder_ / "cache").string();
  const std::string one = url(1);
  const std::string out = std::to_string(ready[1]);
  const char* arguments[] = {"/proc/self/exe", "--use",     cache.c_str(),
                             one.c_str(),      out.c_str(), nullptr};
  pid_t child = 0;
  ASSERT_EQ(posix_spawn(&child, "/proc/self/exe", nullptr, nullptr,
                        const_cast<char* const*>(arguments), environ),
            0);
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  fetch_and_end(2);
  fetch_and_end(3);
  EXPECT_EQ(cached("sha256", "1").size(), 1u);
  EXPECT_EQ(cached("sha256", "2").size(), 0u);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  fetch_and_end(2);
  EXPECT_EQ(cached("sha256", "1").size(), 0u);
}

}  // namespace
}  // namespace lctl::testing

int main(int argc, char** argv) {
  if (argc == 5 && std::string_view(argv[1]) == "--use") {
    lctl::FetchOptions options;
    options.cache = argv[2];
    options.say = [](const std::string&) {};
    lctl::Fetcher fetcher(options);
    fetcher.fetch(argv[3]);
    if (write(std::atoi(argv[4]), "x", 1) == 1) pause();
    return 1;
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
