// Servers that misbehave.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>

#include "base/clock.h"
#include "worker/trainer/data/fetch/testing/fetch_fixture.h"

namespace lctl::testing {
namespace {

namespace fs = std::filesystem;

class DownloadTest : public FetchFixture {
 protected:
  // What the server does with its n-th request, counted from 0.
  void serve_with(std::function<Reply(const Request&, int)> answer) {
    server_ = std::make_unique<HttpServer>(
        [this, answer](const Request& request) { return answer(request, count_++); });
  }
  std::string url() const { return server_->url("/x.bin"); }
  std::string url_with_checksum() const { return url() + "#sha256=" + sha256_of(content_); }
  std::string range_of(int request) const {
    return server_->requests().at(request).header("range");
  }

  // The answer of a good server, broken after `size` bytes of its body.
  Reply cut(const Request& request, std::size_t size, const std::string& etag = "\"one\"") const {
    Reply reply = serve(request, content_, etag);
    reply.cut_after = size;
    return reply;
  }

  std::string content_ = some_bytes(300'000);
  std::atomic<int> count_ = 0;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(DownloadTest, BrokenConnectionIsContinued) {
  serve_with([&](const Request& request, int n) {
    return n < 2 ? cut(request, 100'000) : serve(request, content_, "\"one\"");
  });
  EXPECT_EQ(content_of(fetch(url())), content_);
  EXPECT_EQ(range_of(0), "");
  EXPECT_EQ(range_of(1), "bytes=99999-");
  EXPECT_EQ(server_->requests()[1].header("if-range"), "\"one\"");
  EXPECT_EQ(range_of(2), "bytes=199998-");
  ASSERT_EQ(said_.size(), 4u);
  EXPECT_NE(said_[1].find("100000 bytes of 300000 bytes are there; try 2 of 6"), std::string::npos)
      << said_[1];
}

TEST_F(DownloadTest, ServerThatIgnoresRangesStartsAgain) {
  serve_with([&](const Request& request, int n) {
    Request plain = request;
    plain.headers.erase("range");
    return n == 0 ? cut(plain, 100'000) : serve(plain, content_, "\"one\"");
  });
  EXPECT_EQ(content_of(fetch(url())), content_);
  EXPECT_EQ(range_of(1), "bytes=99999-");
}

TEST_F(DownloadTest, FileThatChangesMeanwhileIsFetchedFromTheBeginning) {
  const std::string before = some_bytes(300'000, 9);
  serve_with([&](const Request& request, int n) {
    if (n > 0) return serve(request, content_, "\"two\"");
    Reply reply = serve(request, before, "\"one\"");
    reply.cut_after = 100'000;
    return reply;
  });
  EXPECT_EQ(content_of(fetch(url())), content_);
  EXPECT_EQ(server_->requests().size(), 2u) << "If-Range does it in one";
}

TEST_F(DownloadTest, PartOfAnotherVersionIsNotTaken) {
  // A server that knows no If-Range, so sends the part of a file that has changed; the byte that
  // both parts have happens to be the same.
  std::string before = some_bytes(300'000, 9);
  before[99'999] = content_[99'999];
  serve_with([&](const Request& request, int n) {
    Request unconditional = request;
    unconditional.headers.erase("if-range");
    if (n > 0) return serve(unconditional, content_, "\"two\"");
    Reply reply = serve(request, before, "\"one\"");
    reply.cut_after = 100'000;
    return reply;
  });
  EXPECT_EQ(content_of(fetch(url())), content_);
  EXPECT_EQ(server_->requests().size(), 3u);
}

TEST_F(DownloadTest, FileThatHasShrunkIsFetchedFromTheBeginning) {
  serve_with([&](const Request& request, int n) {
    Request unconditional = request;
    unconditional.headers.erase("if-range");
    return n == 0 ? cut(request, 100'000) : serve(unconditional, "short", "\"two\"");
  });
  EXPECT_EQ(content_of(fetch(url())), "short");
  EXPECT_EQ(server_->requests().size(), 3u) << "the part was refused with 416";
}

TEST_F(DownloadTest, PartsThatDoNotFitTheChecksumAreFetchedAsOne) {
  // Neither validators nor another size tell that the file has changed.
  std::string before = some_bytes(300'000, 9);
  before[99'999] = content_[99'999];
  serve_with([&](const Request& request, int n) {
    Reply reply = serve(request, n == 0 ? before : content_, "");
    if (n == 0) reply.cut_after = 100'000;
    return reply;
  });
  EXPECT_EQ(content_of(fetch(url_with_checksum())), content_);
  EXPECT_EQ(range_of(1), "bytes=99999-");
  EXPECT_EQ(range_of(2), "");
}

TEST_F(DownloadTest, WithoutValidatorAndChecksumNothingIsContinued) {
  serve_with([&](const Request& request, int n) {
    return n == 0 ? cut(request, 100'000, "") : serve(request, content_, "");
  });
  EXPECT_EQ(content_of(fetch(url())), content_);
  EXPECT_EQ(range_of(1), "");
}

TEST_F(DownloadTest, WeakETagIsNoProofOfEqualParts) {
  serve_with([&](const Request& request, int n) {
    return n == 0 ? cut(request, 100'000, "W/\"one\"") : serve(request, content_, "W/\"one\"");
  });
  EXPECT_EQ(content_of(fetch(url())), content_);
  EXPECT_EQ(range_of(1), "");
}

TEST_F(DownloadTest, LaterFetchContinuesWhereAnEarlierOneGaveUp) {
  serve_with([&](const Request& request, int n) {
    return n < 6 ? cut(request, n == 0 ? 100'000 : 0) : serve(request, content_, "\"one\"");
  });
  expect_error([&] { fetch(url()); }, FetchErrorKind::kUnreachable, false,
               {"gave up after 6 tries", "100000 bytes of 300000 bytes are there"});
  EXPECT_TRUE(cached("sha256", ".bin").empty());
  EXPECT_EQ(content_of(fetch(url())), content_);
  EXPECT_EQ(range_of(6), "bytes=99999-");
}

TEST_F(DownloadTest, PartFromBeforeACrashIsContinuedOnlyWithAChecksum) {
  serve_with([&](const Request& request, int n) {
    return n < 6 ? cut(request, n == 0 ? 100'000 : 0) : serve(request, content_, "\"one\"");
  });
  expect_error([&] { fetch(url()); }, FetchErrorKind::kUnreachable, false, {});
  const fs::path note = cached("url", ".partial.json").at(0);
  std::string text = content_of(note);
  text.replace(text.find("\"boot_id\": \"") + 12, 4, "xxxx");
  std::ofstream(note) << text;
  EXPECT_EQ(content_of(fetch(url())), content_);
  EXPECT_EQ(range_of(6), "");
}

TEST_F(DownloadTest, TransientStatusesAreTriedAgain) {
  for (const int status : {500, 502, 503, 504, 408, 429}) {
    serve_with([&](const Request& request, int n) {
      return n % 2 == 0 ? Reply{status} : serve(request, some_bytes(10, status), "");
    });
    EXPECT_EQ(content_of(fetch(url())), some_bytes(10, status)) << status;
    fs::remove_all(folder_ / "cache");
  }
}

TEST_F(DownloadTest, RetryAfterIsKept) {
  serve_with([&](const Request& request, int n) {
    Reply busy{429};
    busy.headers.push_back("Retry-After: 1");
    return n == 0 ? busy : serve(request, content_, "");
  });
  const MonotonicTime start = system_clock().monotonic_now();
  fetch(url());
  EXPECT_GE(system_clock().monotonic_now() - start, std::chrono::milliseconds(950));
}

TEST_F(DownloadTest, ServerThatAsksForALongWaitIsNotWaitedFor) {
  serve_with([](const Request&, int) {
    Reply busy{503};
    busy.headers.push_back("Retry-After: 7200");
    return busy;
  });
  expect_error([&] { fetch(url()); }, FetchErrorKind::kHttpStatus, false, {"7200 s"});
  EXPECT_EQ(count_, 1);
}

TEST_F(DownloadTest, PermanentStatusesAreNotTriedAgain) {
  const std::vector<std::pair<int, FetchErrorKind>> cases = {
      {404, FetchErrorKind::kNotFound},   {410, FetchErrorKind::kNotFound},
      {401, FetchErrorKind::kForbidden},  {403, FetchErrorKind::kForbidden},
      {400, FetchErrorKind::kHttpStatus}, {304, FetchErrorKind::kHttpStatus},
      {206, FetchErrorKind::kUnreachable}};
  for (const auto& [status, kind] : cases) {
    count_ = 0;
    serve_with([status = status](const Request&, int) {
      Reply reply{status};
      reply.body = "<html>a page that is not the file</html>";
      return reply;
    });
    const bool permanent = kind != FetchErrorKind::kUnreachable;
    expect_error([&] { fetch(url()); }, kind, permanent,
                 {"/x.bin", permanent ? "HTTP " + std::to_string(status) : "gave up"});
    if (permanent) {
      EXPECT_EQ(count_, 1);
    }
    EXPECT_TRUE(cached("sha256", "").empty());
  }
}

TEST_F(DownloadTest, RedirectsAreFollowedUpToTen) {
  serve_with([&](const Request& request, int) {
    const int left = std::stoi(request.path.substr(request.path.rfind('/') + 1));
    if (left == 0) return serve(request, content_, "\"one\"");
    Reply reply{302};
    reply.headers.push_back("Location: /step/" + std::to_string(left - 1));
    reply.headers.push_back("ETag: \"of the redirect\"");
    reply.body = "moved";
    return reply;
  });
  const fs::path path = fetch(server_->url("/x/10"));
  EXPECT_EQ(content_of(path), content_);
  EXPECT_EQ(path.filename(), "10") << "the name is the job's URL's";
  expect_error([&] { fetch(server_->url("/x/11")); }, FetchErrorKind::kRedirect, true, {"10"});
}

TEST_F(DownloadTest, RedirectToAFileIsRefused) {
  serve_with([](const Request&, int) {
    Reply reply{302};
    reply.headers.push_back("Location: file:///etc/passwd");
    return reply;
  });
  expect_error([&] { fetch(url()); }, FetchErrorKind::kRedirect, true, {"file"});
}

TEST_F(DownloadTest, ContentEncodingIsNotDecoded) {
  serve_with([&](const Request& request, int) {
    Reply reply = serve(request, content_, "\"one\"");
    reply.headers.push_back("Content-Encoding: gzip");
    return reply;
  });
  EXPECT_EQ(content_of(fetch(url_with_checksum())), content_);
  EXPECT_EQ(server_->requests()[0].header("accept-encoding"), "identity");
}

TEST_F(DownloadTest, StalledConnectionIsBrokenAndContinued) {
  serve_with([&](const Request& request, int n) {
    Reply reply = serve(request, content_, "\"one\"");
    if (n == 0) {
      reply.cut_after = 100'000;
      reply.stall = std::chrono::seconds(60);
    }
    return reply;
  });
  FetchOptions quick = options();
  quick.limits.stall = std::chrono::seconds(1);
  EXPECT_EQ(content_of(Fetcher(quick).fetch(url())), content_);
  EXPECT_EQ(range_of(1), "bytes=99999-");
}

TEST_F(DownloadTest, StopIsObeyedWithinASecond) {
  serve_with([&](const Request& request, int) {
    Reply reply = cut(request, 100'000);
    reply.stall = std::chrono::seconds(60);
    return reply;
  });
  FetchOptions stopping = options();
  std::uint64_t done = 0;
  MonotonicTime asked{};
  stopping.progress = [&](std::uint64_t bytes, auto) { done = bytes; };
  stopping.stopped = [&] {
    if (done > 0 && asked == MonotonicTime{}) asked = system_clock().monotonic_now();
    return done > 0;
  };
  expect_error([&] { Fetcher(stopping).fetch(url()); }, FetchErrorKind::kCancelled, false,
               {"stopped", "/x.bin"});
  EXPECT_LT(system_clock().monotonic_now() - asked, std::chrono::seconds(1));
  EXPECT_GT(fs::file_size(cached("url", ".partial").at(0)), 0u) << "kept for the next time";
}

TEST_F(DownloadTest, StopIsObeyedBetweenTries) {
  serve_with([](const Request&, int) { return Reply{503}; });
  FetchOptions stopping = options();
  stopping.first_wait = std::chrono::minutes(1);
  stopping.stopped = [&] { return count_ > 0; };
  const MonotonicTime start = system_clock().monotonic_now();
  expect_error([&] { Fetcher(stopping).fetch(url()); }, FetchErrorKind::kCancelled, false, {});
  EXPECT_LT(system_clock().monotonic_now() - start, std::chrono::seconds(1));
}

TEST_F(DownloadTest, ProgressEndsWithTheWhole) {
  serve_with([&](const Request& request, int) { return serve(request, content_, ""); });
  FetchOptions watched = options();
  std::uint64_t done = 0;
  std::optional<std::uint64_t> of;
  watched.progress = [&](std::uint64_t bytes, std::optional<std::uint64_t> total) {
    done = bytes;
    of = total;
  };
  Fetcher(watched).fetch(url());
  EXPECT_EQ(done, content_.size());
  EXPECT_EQ(of, content_.size());
}

TEST_F(DownloadTest, BodyWithoutLengthEndsWithTheConnection) {
  serve_with([&](const Request& request, int) {
    Reply reply = serve(request, content_, "");
    reply.with_length = false;
    return reply;
  });
  EXPECT_EQ(content_of(fetch(url())), content_);
}

TEST_F(DownloadTest, NobodyListensIsUnreachable) {
  serve_with([](const Request&, int) { return Reply{}; });
  const std::string address = url();
  server_.reset();
  expect_error([&] { fetch(address); }, FetchErrorKind::kUnreachable, false,
               {"/x.bin", "connect", "https_proxy"});
}

TEST_F(DownloadTest, ProxyOfTheEnvironmentIsUsed) {
  serve_with([&](const Request& request, int) { return serve(request, content_, ""); });
  setenv("http_proxy", server_->url("").c_str(), 1);
  const fs::path path = fetch("http://nowhere.invalid/x.bin");
  unsetenv("http_proxy");
  EXPECT_EQ(content_of(path), content_);
  EXPECT_EQ(server_->requests().at(0).path, "http://nowhere.invalid/x.bin");
}

TEST_F(DownloadTest, FullDiskIsSaidAndItsSpaceGivenBack) {
  serve_with([&](const Request& request, int) { return serve(request, content_, "\"one\""); });
  // A limit on the size of files stands for the disk; a child, since it is the process's.
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {100'000, 100'000};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(9);
    expect_error([&] { fetch(url()); }, FetchErrorKind::kDiskFull, false,
                 {"/x.bin", "disk is full", "LCTL_DATA_CACHE"});
    _exit(!HasFailure() && cached("url", ".partial").empty() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(DownloadTest, FileThatCannotFitIsRefusedBeforeItIsFetched) {
  serve_with([&](const Request& request, int) { return serve(request, content_, "\"one\""); });
  fs::create_directory(folder_ / "cache");
  if (geteuid() != 0 || mount("tmpfs", (folder_ / "cache").c_str(), "tmpfs", 0, "size=200k") != 0)
    GTEST_SKIP() << "only root can mount a small disk";
  expect_error([&] { fetch(url()); }, FetchErrorKind::kDiskFull, false,
               {"300000 bytes are missing", "only"});
  EXPECT_TRUE(cached("url", ".partial").empty());
  // Without a length it is found out on the way.
  serve_with([&](const Request& request, int) {
    Reply reply = serve(request, content_, "\"one\"");
    reply.with_length = false;
    return reply;
  });
  expect_error([&] { fetch(url()); }, FetchErrorKind::kDiskFull, false,
               {"No space left", "removed"});
  EXPECT_TRUE(cached("url", ".partial").empty());
  umount2((folder_ / "cache").c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace lctl::testing
