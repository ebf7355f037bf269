// What is in the cache, and what is asked of the server.
#include "worker/trainer/data/fetch/fetcher.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/trainer/data/fetch/testing/fetch_fixture.h"

namespace lctl::testing {
namespace {

namespace fs = std::filesystem;

class FetcherTest : public FetchFixture {
 protected:
  FetcherTest()
      : server_([this](const Request& request) {
          return down_ ? Reply{503} : serve(request, content_, etag_);
        }) {}

  std::string url(const std::string& path) const { return server_.url(path); }
  std::string with_checksum(const std::string& path) const {
    return url(path) + "#sha256=" + sha256_of(content_);
  }

  // As if the last check of each URL were long ago.
  void age_records() {
    for (const auto& path : cached("url", "")) {
      std::string text = content_of(path);
      const std::string key = "\"checked_micros\": ";
      const std::size_t at = text.find(key);
      if (at == std::string::npos) continue;
      text.replace(at + key.size(), text.find_first_of(",\n", at) - at - key.size(), "1000");
      std::ofstream(path) << text;
    }
  }

  std::string content_ = some_bytes(100'000);
  std::string etag_ = "\"one\"";
  bool down_ = false;
  HttpServer server_;
};

TEST_F(FetcherTest, PathsAreReturnedAsTheyAre) {
  EXPECT_EQ(fetch("data/none.csv"), "data/none.csv");
  EXPECT_TRUE(cached("", "").empty());
}

TEST_F(FetcherTest, FileIsDownloadedUnderItsName) {
  const fs::path path = fetch(url("/a/train%20set.csv.gz?x=1"));
  EXPECT_EQ(path.filename(), "train set.csv.gz");
  EXPECT_EQ(path.parent_path().filename(), sha256_of(content_));
  EXPECT_EQ(content_of(path), content_);
  EXPECT_EQ(cached("url", ".partial").size(), 0u);
  EXPECT_EQ(cached("url", ".partial.json").size(), 0u);
  ASSERT_EQ(said_.size(), 2u);
  EXPECT_NE(said_[0].find("downloading http://127.0.0.1"), std::string::npos) << said_[0];
  EXPECT_NE(said_[1].find("downloaded http://127.0.0.1"), std::string::npos) << said_[1];
}

TEST_F(FetcherTest, ModesDoNotDependOnUmask) {
  const mode_t before = umask(0077);
  const fs::path path = fetch(url("/x.bin"));
  umask(before);
  EXPECT_EQ(fs::status(path).permissions(), fs::perms(0644));
  EXPECT_EQ(fs::status(path.parent_path() / ".verified").permissions(), fs::perms(0644));
  for (fs::path folder = path.parent_path(); folder != folder_; folder = folder.parent_path()) {
    EXPECT_EQ(fs::status(folder).permissions(), fs::perms(0755)) << folder;
  }
}

TEST_F(FetcherTest, EmptyFilesAreFiles) {
  content_ = "";
  const fs::path path = fetch(with_checksum("/empty.csv"));
  EXPECT_TRUE(fs::is_regular_file(path));
  EXPECT_EQ(fs::file_size(path), 0u);
}

TEST_F(FetcherTest, WithAChecksumACachedFileNeedsNoServer) {
  const fs::path first = fetch(with_checksum("/x.csv"));
  EXPECT_EQ(fetch(with_checksum("/x.csv")), first);
  EXPECT_EQ(fetch("http://nowhere.invalid/x.csv#sha256=" + sha256_of(content_)), first);
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(FetcherTest, AnotherNameOfTheSameContentIsTheSameFile) {
  const fs::path first = fetch(with_checksum("/x.csv"));
  const fs::path second = fetch(with_checksum("/y.npz"));
  EXPECT_EQ(second.filename(), "y.npz");
  EXPECT_TRUE(fs::equivalent(first, second));
  // Also when only the download shows that it is the same.
  EXPECT_TRUE(fs::equivalent(first, fetch(url("/z.bin"))));
  EXPECT_EQ(cached("url", ".partial").size(), 0u);
  // And the note still holds: no process hashes it again.
  EXPECT_EQ(server_.requests().size(), 2u);
}

TEST_F(FetcherTest, WithoutAChecksumTheServerIsAskedAgain) {
  const fs::path first = fetch(url("/x.csv"));
  age_records();
  EXPECT_EQ(fetch(url("/x.csv")), first);
  ASSERT_EQ(server_.requests().size(), 2u);
  EXPECT_EQ(server_.requests()[1].header("if-none-match"), "\"one\"");
  EXPECT_TRUE(cached("url", ".partial").empty());
  // That answer is fresh.
  EXPECT_EQ(fetch(url("/x.csv")), first);
  EXPECT_EQ(server_.requests().size(), 2u);

  content_ = some_bytes(5000, 7);
  etag_ = "\"two\"";
  age_records();
  const fs::path second = fetch(url("/x.csv"));
  EXPECT_NE(second, first);
  EXPECT_EQ(content_of(second), content_);
  EXPECT_TRUE(fs::exists(first)) << "others may be reading it";
}

TEST_F(FetcherTest, ProcessesThatStartTogetherAskOnce) {
  for (int i = 0; i < 4; ++i) fetch(url("/x.csv"));
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(FetcherTest, OneFetcherGivesOneAnswer) {
  Fetcher fetcher(options());
  const fs::path first = fetcher.fetch(url("/x.csv"));
  content_ = "new";
  etag_ = "\"new\"";
  age_records();
  EXPECT_EQ(fetcher.fetch(url("/x.csv")), first);
}

TEST_F(FetcherTest, WithoutTheServerTheCachedFileIsUsedAndSaid) {
  const fs::path first = fetch(url("/x.csv"));
  age_records();
  down_ = true;
  EXPECT_EQ(fetch(url("/x.csv")), first);
  EXPECT_NE(said_.back().find("the cached copy is used"), std::string::npos) << said_.back();
  // Those who started with us do not wait for the server again.
  const std::size_t requests = server_.requests().size();
  EXPECT_EQ(fetch(url("/x.csv")), first);
  EXPECT_EQ(server_.requests().size(), requests);
}

TEST_F(FetcherTest, WithoutTheServerAndTheFileItIsAnError) {
  down_ = true;
  expect_error([&] { fetch(url("/x.csv")); }, FetchErrorKind::kHttpStatus, false,
               {"HTTP 503", "gave up after 6 tries", "/x.csv"});
  EXPECT_EQ(server_.requests().size(), 6u);
}

TEST_F(FetcherTest, WrongChecksumRemovesTheFile) {
  const std::string wrong(64, '7');
  expect_error([&] { fetch(url("/x.csv") + "#sha256=" + wrong); }, FetchErrorKind::kChecksum, true,
               {"/x.csv", "expected " + wrong, "got " + sha256_of(content_)});
  EXPECT_TRUE(cached("", ".csv").empty());
  EXPECT_TRUE(cached("", ".partial").empty());
}

TEST_F(FetcherTest, CachedFileThatWasChangedIsFetchedAgain) {
  const fs::path path = fetch(with_checksum("/x.csv"));
  std::ofstream(path) << "something else";
  EXPECT_EQ(fetch(with_checksum("/x.csv")), path);
  EXPECT_EQ(content_of(path), content_);
  EXPECT_EQ(server_.requests().size(), 2u);
}

TEST_F(FetcherTest, CachedFileIsNotHashedByEachProcess) {
  const fs::path path = fetch(with_checksum("/x.csv"));
  // Changed behind our back, with the size and time that it had.
  const auto time = fs::last_write_time(path);
  std::fstream(path, std::ios::in | std::ios::out) << "X";
  fs::last_write_time(path, time);
  EXPECT_EQ(fetch(with_checksum("/x.csv")), path);
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(FetcherTest, DamagedNotesCostADownload) {
  const fs::path path = fetch(url("/x.csv"));
  for (const auto& note : cached("", "")) {
    if (note != path) std::ofstream(note) << "{\"size\": -1";
  }
  EXPECT_EQ(fetch(url("/x.csv")), path);
  EXPECT_EQ(server_.requests().size(), 2u);
}

TEST_F(FetcherTest, LinksInTheCacheAreNotFollowed) {
  const fs::path path = fetch(with_checksum("/x.csv"));
  const fs::path precious = folder_ / "precious";
  std::ofstream(precious) << content_;
  fs::remove(path);
  fs::create_symlink(precious, path);
  EXPECT_FALSE(fs::is_symlink(fetch(with_checksum("/x.csv"))));

  // Neither the unfinished download…
  std::string content = content_;
  content_ = some_bytes(1000, 3);
  const std::string key = sha256_of(url("/y.csv"));
  fs::create_symlink(precious, folder_ / "cache" / "url" / (key + ".partial"));
  fetch(url("/y.csv"));
  EXPECT_EQ(content_of(precious), content);

  // … nor a folder.
  fs::remove_all(folder_ / "cache" / "sha256");
  fs::create_directory_symlink(folder_, folder_ / "cache" / "sha256");
  expect_error([&] { fetch(url("/z.csv")); }, FetchErrorKind::kCache, false, {"sha256"});
}

TEST_F(FetcherTest, ReadOnlyCacheGivesWhatItHas) {
  const fs::path first = fetch(with_checksum("/x.csv"));
  fetch(url("/y.csv"));
  const std::string checksum = sha256_of(content_);
  // Root may write everywhere: a child gives that up.
  const pid_t child = fork();
  if (child == 0) {
    fs::permissions(folder_ / "cache", fs::perms(0555));
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) _exit(9);
    bool good = fetch("http://nowhere.invalid/x.csv#sha256=" + checksum) == first;
    good = good && fetch(url("/y.csv")).filename() == "y.csv";
    good = good && said_.back().find("cannot be written") != std::string::npos;
    expect_error([&] { fetch(url("/new.csv")); }, FetchErrorKind::kCache, false,
                 {"/new.csv", "LCTL_DATA_CACHE"});
    _exit(good && !HasFailure() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(FetcherTest, FileUrlsAreUsedInPlaceAndChecked) {
  const fs::path file = folder_ / "a b.csv";
  std::ofstream(file) << "hello";
  const std::string url = "file://" + folder_.string() + "/a%20b.csv";
  EXPECT_EQ(fetch(url), file);
  EXPECT_EQ(fetch(url + "#sha256=" + sha256_of("hello")), file);
  expect_error([&] { fetch(url + "#sha256=" + sha256_of("other")); }, FetchErrorKind::kChecksum,
               true, {"a%20b.csv", "expected " + sha256_of("other"), "got " + sha256_of("hello")});
  EXPECT_TRUE(fs::exists(file)) << "it is the user's";
  expect_error([&] { fetch("file:///none/x.csv"); }, FetchErrorKind::kNotFound, true,
               {"file:///none/x.csv", "No such file"});
  expect_error([&] { fetch("file://" + folder_.string() + "#sha256=" + sha256_of("")); },
               FetchErrorKind::kMalformedUrl, true, {"only a file"});
}

TEST_F(FetcherTest, ChecksumOfALocalFileIsRemembered) {
  const fs::path file = folder_ / "x.csv";
  std::ofstream(file) << "hello";
  const std::string url = "file://" + file.string() + "#sha256=" + sha256_of("hello");
  fetch(url);
  EXPECT_TRUE(cached("file", "").empty()) << "it was changed just now, and may be again";
  const auto time = fs::last_write_time(file) - std::chrono::hours(1);
  fs::last_write_time(file, time);
  fetch(url);
  EXPECT_EQ(cached("file", "").size(), 1u);

  // The same state of the file, as far as the file system tells.
  std::fstream(file, std::ios::in | std::ios::out) << "J";
  fs::last_write_time(file, time);
  EXPECT_EQ(fetch(url), file);
  // Another.
  fs::last_write_time(file, time + std::chrono::seconds(1));
  expect_error([&] { fetch(url); }, FetchErrorKind::kChecksum, true, {});
}

TEST_F(FetcherTest, LocalFilesNeedNoCache) {
  std::ofstream(folder_ / "x.csv") << "hello";
  std::ofstream(folder_ / "cache") << "a file where the cache should be";
  const std::string file = (folder_ / "x.csv").string();
  EXPECT_EQ(fetch("file://" + file + "#sha256=" + sha256_of("hello")), file);
  expect_error([&] { fetch(url("/x.csv")); }, FetchErrorKind::kCache, false,
               {"not a folder", "LCTL_DATA_CACHE"});
}

TEST_F(FetcherTest, TheEnvironmentNamesTheCache) {
  setenv("LCTL_DATA_CACHE", (folder_ / "other").c_str(), 1);
  FetchOptions silent;
  silent.say = [](const std::string&) {};
  const fs::path path = Fetcher(silent).fetch(url("/x.csv"));
  unsetenv("LCTL_DATA_CACHE");
  EXPECT_EQ(path.string().find((folder_ / "other" / "sha256").string()), 0u) << path;
}

}  // namespace
}  // namespace lctl::testing
