#include "worker/trainer/data/fetch/download.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <thread>

#include "base/clock.h"
#include "worker/trainer/data/fetch/fetch_error.h"

namespace lctl {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestWait{30'000};
constexpr std::int64_t kLongestRetryAfter = 300;  // seconds
constexpr std::uint64_t kProgress = std::uint64_t{1}
                                    << 20;  // that much more is no failure in a row
constexpr int kMaxRestarts = 5;
constexpr milliseconds kConnectAgain{10'000};  // to ask whether the cached file is still the same
constexpr std::uint64_t kRoomStep = std::uint64_t{16} << 20;
constexpr milliseconds kPoll{50};
constexpr milliseconds kReport{100};
constexpr std::chrono::seconds kSay{30};  // a log needs less

// The server has another file than the one that we have a part of.
struct ContentChanged {};

// Puts an answer's body into the partial file.
class PartialSink : public BodySink {
 public:
  PartialSink(PartialFile& partial, bool resuming, const SourceUrl& url,
              const FetchOptions& options, const CacheBound& bound)
      : partial_(partial), resuming_(resuming), url_(url), options_(options), bound_(bound) {}

  bool begin(const HttpResponse& response) override {
    if (response.status == 200) {
      partial_.restart(response.validators, response.content_length);
    } else if (response.status == 206) {
      if (!resuming_ || !continues(response)) throw ContentChanged();
      partial_.continue_here();
      overlap_ = true;
    } else {
      return false;
    }
    // The record that was just written says the whole; of an unknown one room is made as it comes.
    if (const auto total = partial_.record().total) bound_.make_room({url_.shown, *total, 0});
    check_space();
    return true;
  }

  void write(std::string_view bytes) override {
    if (overlap_ && !bytes.empty()) {
      if (bytes[0] != partial_.last_byte()) throw ContentChanged();
      bytes.remove_prefix(1);
      overlap_ = false;
    }
    if (!partial_.record().total && room_ < bytes.size()) {
      bound_.make_room({url_.shown, partial_.size(), kRoomStep});
      room_ = kRoomStep;
    }
    room_ -= std::min<std::uint64_t>(room_, bytes.size());
    partial_.append(bytes);
    report(false);
  }

  void report(bool last) {
    const MonotonicTime now = system_clock().monotonic_now();
    const auto total = partial_.record().total;
    if (options_.progress && (last || now - reported_ >= kReport)) {
      reported_ = now;
      options_.progress(partial_.size(), total);
    }
    if (options_.say && now - said_ >= kSay) {
      said_ = now;
      options_.say(fmt::format("downloading {}: {}{} are there", url_.shown,
                               megabytes(partial_.size()),
                               total ? " of " + megabytes(*total) : ""));
    }
  }

 private:
  bool continues(const HttpResponse& response) const {
    const Validators& before = partial_.record().validators;
    const auto same = [](const std::string& ours, const std::string& theirs) {
      return ours.empty() || theirs.empty() || ours == theirs;
    };
    const auto total = partial_.record().total;
    return response.range && response.range->first + 1 == partial_.size() &&
           (!total || !response.range->total || *total == *response.range->total) &&
           same(before.etag, response.validators.etag) &&
           same(before.last_modified, response.validators.last_modified);
  }

  void check_space() const {
    const auto total = partial_.record().total;
    if (!total || *total <= partial_.size()) return;
    const std::uint64_t needed = *total - partial_.size();
    if (const std::uint64_t left = partial_.space_left(); left < needed)
      throw FetchError(
          FetchErrorKind::kDiskFull, false,
          fmt::format(
              "{}: {} are missing, but the cache's disk has only {} left; make room, or let "
              "LCTL_DATA_CACHE name a folder on another disk",
              url_.shown, megabytes(needed), megabytes(left)));
  }

  PartialFile& partial_;
  const bool resuming_;
  const SourceUrl& url_;
  const FetchOptions& options_;
  const CacheBound& bound_;
  std::uint64_t room_ = 0;  // bytes that may come before more is made
  bool overlap_ = false;    // the next byte is one that we have
  MonotonicTime reported_{};
  MonotonicTime said_ = system_clock().monotonic_now();
};

bool is_disk_full(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG; }

bool is_transient(int status) {
  return status >= 500 || status == 408 || status == 425 || status == 429;
}

// 50 to 100 % of `wait`, from the kernel: it must not disturb a training generator.
milliseconds shortened(milliseconds wait) {
  std::uint16_t random = 0;
  if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random)) return wait;
  return wait / 2 + wait * random / 65535 / 2;
}

class Download {
 public:
  Download(const SourceUrl& url, const CachedCopy& cached, PartialFile& partial,
           const FetchOptions& options, const CacheBound& bound)
      : url_(url), cached_(cached), partial_(partial), options_(options), bound_(bound) {}

  Downloaded run() {
    progress_at_ = partial_.size();
    while (true) {
      if (options_.stopped && options_.stopped()) throw_cancelled();
      if (std::optional<Downloaded> result = one_try()) return *result;
    }
  }

 private:
  // Nothing = once more.
  std::optional<Downloaded> one_try() {
    const bool resuming = partial_.size() > 0 &&
                          (!partial_.record().validators.strong().empty() || !url_.sha256.empty());
    PartialSink sink(partial_, resuming, url_, options_, bound_);
    TransferEnd end;
    try {
      end = transfer(request(resuming), sink);
    } catch (const ContentChanged&) {
      start_over("the file on the server has changed");
      return std::nullopt;
    }
    throw_if_hopeless(end);
    const int status = end.response.status;
    if (end.failure == TransferEnd::Failure::kConnection) {
      wait_after_failure(end.reason, end);
    } else if (status == 304 && cached_.present) {
      Downloaded unchanged;
      unchanged.not_modified = true;
      return unchanged;
    } else if (status == 416 && resuming) {
      start_over("the server has no such part of it");
    } else if (is_transient(status)) {
      wait_after_failure(fmt::format("the server answers HTTP {}", status), end);
    } else if (const auto total = partial_.record().total; total && *total != partial_.size()) {
      wait_after_failure(fmt::format("{} of {} bytes came", partial_.size(), *total), end);
    } else {
      sink.report(true);
      return completed();
    }
    return std::nullopt;
  }

  HttpRequest request(bool resuming) const {
    HttpRequest request;
    request.url = url_.address;
    request.limits = options_.limits;
    if (cached_.present) request.limits.connect = std::min(request.limits.connect, kConnectAgain);
    request.stopped = options_.stopped;
    if (cached_.present && !cached_.validators.etag.empty())
      request.headers.push_back("If-None-Match: " + cached_.validators.etag);
    if (cached_.present && !cached_.validators.last_modified.empty())
      request.headers.push_back("If-Modified-Since: " + cached_.validators.last_modified);
    if (resuming) {
      request.headers.push_back(fmt::format("Range: bytes={}-", partial_.size() - 1));
      const std::string strong = partial_.record().validators.strong();
      if (!strong.empty()) request.headers.push_back("If-Range: " + strong);
    }
    return request;
  }

  std::optional<Downloaded> completed() {
    Downloaded result{false, partial_.finish(), partial_.size(), partial_.record().validators};
    if (url_.sha256.empty() || result.sha256 == url_.sha256) return result;
    if (partial_.stitched()) {
      // Parts of two files, or bytes that a crash has lost: the whole tells.
      start_over("its parts do not make the file with the expected checksum");
      return std::nullopt;
    }
    const std::uint64_t size = partial_.size();
    partial_.discard();
    throw FetchError(
        FetchErrorKind::kChecksum, true,
        fmt::format("{}: the file has another SHA-256 than the URL says: expected {}, "
                    "got {} ({} bytes, removed); the file on the server was changed, or "
                    "the checksum in the job is wrong",
                    url_.shown, url_.sha256, result.sha256, size));
  }

  void start_over(const std::string& why) {
    if (++restarts_ > kMaxRestarts)
      throw FetchError(FetchErrorKind::kUnreachable, false,
                       fmt::format("{}: gave up after {} new beginnings: {}; try again later",
                                   url_.shown, kMaxRestarts, why));
    say(fmt::format("{}: {}; it is fetched from the beginning", url_.shown, why));
    partial_.restart({}, std::nullopt);
    progress_at_ = 0;
  }

  // Failures that another try does not change.
  void throw_if_hopeless(const TransferEnd& end) const {
    using Failure = TransferEnd::Failure;
    const auto fail = [&](FetchErrorKind kind, const std::string& why) {
      throw FetchError(kind, true, fmt::format("{}: {}", url_.shown, why));
    };
    switch (end.failure) {
      case Failure::kStopped:
        throw_cancelled();
      case Failure::kCertificate:
        fail(FetchErrorKind::kCertificate,
             fmt::format("the server's certificate is not trusted: {}; if it should be, let "
                         "SSL_CERT_FILE name a file with its authority's certificate",
                         end.reason));
        break;
      case Failure::kRedirect:
        fail(FetchErrorKind::kRedirect,
             fmt::format("a redirect is not followed: {} (at most {}, never from https to http); "
                         "give the final URL",
                         end.reason, options_.limits.redirects));
        break;
      case Failure::kUrl:
        fail(FetchErrorKind::kMalformedUrl, fmt::format("it is no URL: {}", end.reason));
        break;
      case Failure::kConnection:
        if (end.response.status == 0 && cached_.present)
          throw FetchError(FetchErrorKind::kUnreachable, false,
                           fmt::format("{}: {}", url_.shown, end.reason));
        return;
      case Failure::kNone:
        break;
    }
    const int status = end.response.status;
    if (status == 200 || status == 206 || status == 416 || is_transient(status) ||
        (status == 304 && cached_.present))
      return;
    if (status == 404 || status == 410)
      fail(FetchErrorKind::kNotFound,
           fmt::format("the server has no such file (HTTP {}); check the URL", status));
    if (status == 401 || status == 403 || status == 407)
      fail(FetchErrorKind::kForbidden,
           fmt::format("the server refuses it (HTTP {}); check the credentials, which go into the "
                       "URL as https://user:password@host/, or the URL",
                       status));
    fail(FetchErrorKind::kHttpStatus,
         fmt::format("the server answers HTTP {}; check the URL", status));
  }

  void wait_after_failure(const std::string& why, const TransferEnd& end) {
    if (partial_.size() >= progress_at_ + kProgress) failures_ = 0;
    progress_at_ = partial_.size();
    ++failures_;
    const bool status_failed = is_transient(end.response.status);
    const FetchErrorKind kind =
        status_failed ? FetchErrorKind::kHttpStatus : FetchErrorKind::kUnreachable;
    if (failures_ >= options_.attempts)
      throw FetchError(kind, false,
                       fmt::format("{}: {}; gave up after {} tries{}; check network and proxy "
                                   "(https_proxy), or try again later",
                                   url_.shown, why, failures_, kept()));
    if (end.retry_after > kLongestRetryAfter)
      throw FetchError(kind, false,
                       fmt::format("{}: {} and asks to come again in {} s; try again then",
                                   url_.shown, why, end.retry_after));
    milliseconds wait = options_.first_wait * (1 << std::min(failures_ - 1, 10));
    wait = shortened(std::min(wait, kLongestWait));
    wait = std::max(wait, milliseconds(1000 * std::max<std::int64_t>(0, end.retry_after)));
    say(fmt::format("{}: {}{}; try {} of {} in {:.1f} s", url_.shown, why, kept(), failures_ + 1,
                    options_.attempts, static_cast<double>(wait.count()) / 1000));
    while (wait.count() > 0) {
      if (options_.stopped && options_.stopped()) throw_cancelled();
      std::this_thread::sleep_for(std::min(wait, kPoll));
      wait -= kPoll;
    }
  }

  [[noreturn]] void throw_cancelled() const {
    throw FetchError(FetchErrorKind::kCancelled, false,
                     fmt::format("{}: stopped{}", url_.shown, kept()));
  }

  // ", 12.3 MB of 20.0 MB are there"; "" when nothing is.
  std::string kept() const {
    if (partial_.size() == 0) return "";
    const auto total = partial_.record().total;
    return fmt::format(", {}{} are there", megabytes(partial_.size()),
                       total ? " of " + megabytes(*total) : "");
  }

  void say(const std::string& text) const {
    if (options_.say) options_.say(text);
  }

  const SourceUrl& url_;
  const CachedCopy& cached_;
  PartialFile& partial_;
  const FetchOptions& options_;
  const CacheBound& bound_;
  int failures_ = 0;  // in a row
  int restarts_ = 0;
  std::uint64_t progress_at_ = 0;  // size at the last failure
};

}  // namespace

Downloaded download(const SourceUrl& url, const CachedCopy& cached, PartialFile& partial,
                    const FetchOptions& options, const CacheBound& bound) {
  try {
    return Download(url, cached, partial, options, bound).run();
  } catch (const std::system_error& error) {
    if (error.code().category() != std::generic_category() || !is_disk_full(error.code().value()))
      throw;
    const std::uint64_t size = partial.size();
    partial.discard();
    throw FetchError(
        FetchErrorKind::kDiskFull, false,
        fmt::format("{}: the cache's disk is full after {} ({}), which are removed; make "
                    "room, or let LCTL_DATA_CACHE name a folder on another disk",
                    url.shown, megabytes(size), error.what()));
  }
}

std::string megabytes(std::uint64_t bytes) {
  return bytes < 1'000'000 ? fmt::format("{} bytes", bytes)
                           : fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

}  // namespace lctl
