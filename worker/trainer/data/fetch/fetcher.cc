#include "worker/trainer/data/fetch/fetcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/data/fetch/cache_root.h"
#include "worker/trainer/data/fetch/download.h"
#include "worker/trainer/data/fetch/durable_file.h"
#include "worker/trainer/data/fetch/fetch_error.h"
#include "worker/trainer/data/fetch/file_lock.h"
#include "worker/trainer/data/fetch/sha256.h"
#include "worker/trainer/data/fetch/verified_file.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;

// Ranks that start together take each other's word for that long before they began.
constexpr std::int64_t kFreshMicros = 10'000'000;

std::int64_t now_micros() { return unix_micros(system_clock().wall_now()); }

bool is_fresh(const UrlRecord& record, std::int64_t asked_micros) {
  return record.checked_micros >= asked_micros - kFreshMicros &&
         record.checked_micros <= now_micros();
}

FetchOptions with_defaults(FetchOptions options) {
  if (!options.say) options.say = [](const std::string& text) { console::info_of_rank(text); };
  return options;
}

[[noreturn]] void throw_cancelled(const SourceUrl& url) {
  throw FetchError(FetchErrorKind::kCancelled, false, fmt::format("{}: stopped", url.shown));
}

}  // namespace

Fetcher::Fetcher(FetchOptions options) : options_(with_defaults(std::move(options))) {}

fs::path Fetcher::fetch(const std::string& source) {
  const SourceUrl url = parse_source(source);
  switch (url.scheme) {
    case SourceUrl::Scheme::kPath:
      return url.path;
    case SourceUrl::Scheme::kFile:
      return local(url);
    case SourceUrl::Scheme::kHttp:
    case SourceUrl::Scheme::kHttps:
      break;
  }
  const std::string key = url.address + "#" + url.sha256;
  {
    const std::lock_guard lock(mutex_);
    const auto known = known_.find(key);
    if (known != known_.end() && access(known->second.c_str(), R_OK) == 0) return known->second;
  }
  fs::path path = remote(url);
  const std::lock_guard lock(mutex_);
  return known_.insert_or_assign(key, std::move(path)).first->second;
}

fs::path Fetcher::place_for(const fs::path& file) {
  try {
    return cache().place_for(file);
  } catch (const std::system_error& error) {
    throw FetchError(FetchErrorKind::kCache, false,
                     fmt::format("{}: {}", file.string(), error.what()));
  }
}

void Fetcher::make_room(const std::string& what, std::uint64_t bytes) {
  bound(cache()).make_room({what, bytes, bytes});
}

CacheBound Fetcher::bound(const DataCache& cache) const {
  std::optional<std::uint64_t> bytes = options_.cache_bound;
  if (!bytes) bytes = cache_bound(environment_variable);
  return CacheBound(cache.root(), {bytes, options_.stopped, options_.say});
}

fs::path Fetcher::local(const SourceUrl& url) {
  const Descriptor file(open(url.path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid()) {
    const int error = errno;
    const bool missing = error == ENOENT || error == ENOTDIR;
    throw FetchError(missing ? FetchErrorKind::kNotFound : FetchErrorKind::kCache, missing,
                     fmt::format("{}: {}; a file:// URL names a file of the node that trains",
                                 url.shown, std::strerror(error)));
  }
  if (url.sha256.empty()) return url.path;
  struct stat status = {};
  if (fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
    throw FetchError(FetchErrorKind::kMalformedUrl, true,
                     fmt::format("{}: only a file has a checksum, and this is none", url.shown));
  int notes = -1;
  try {
    notes = cache().file_folder();
  } catch (const std::exception&) {
    notes = -1;  // then it is hashed each time
  }
  std::optional<std::string> actual;
  try {
    actual = known_sha256(notes, sha256_of(fs::absolute(url.path).string()), file.get(), url.path,
                          options_.stopped);
  } catch (const std::system_error& error) {
    throw FetchError(FetchErrorKind::kCache, false, fmt::format("{}: {}", url.shown, error.what()));
  }
  if (!actual) throw_cancelled(url);
  if (*actual != url.sha256)
    throw FetchError(
        FetchErrorKind::kChecksum, true,
        fmt::format("{}: the file has another SHA-256 than the URL says: expected {}, "
                    "got {}; the file was changed, or the checksum in the job is wrong",
                    url.shown, url.sha256, *actual));
  return url.path;
}

fs::path Fetcher::remote(const SourceUrl& url) {
  try {
    const DataCache& cache = this->cache();
    if (!url.sha256.empty()) {
      // Without the lock: most processes find it there.
      if (auto path = cache.find(url.sha256, url.name, options_.stopped)) return *path;
    }
    return cache.writable() ? locked(cache, url) : from_read_only(cache, url);
  } catch (const std::system_error& error) {
    const int code = error.code().value();
    const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
    throw FetchError(full ? FetchErrorKind::kDiskFull : FetchErrorKind::kCache, false,
                     fmt::format("{}: the cache cannot be used: {}; let LCTL_DATA_CACHE name a "
                                 "folder that can be written",
                                 url.shown, error.what()));
  }
}

fs::path Fetcher::locked(const DataCache& cache, const SourceUrl& url) {
  const std::int64_t asked = now_micros();
  const std::string key = sha256_of(url.key);
  const FileLock lock(cache.url_folder(), key + ".lock",
                      {options_.stopped, options_.say, "downloads " + url.shown});
  std::optional<UrlRecord> record;
  std::optional<fs::path> copy;
  if (!url.sha256.empty()) {
    if (auto path = cache.find(url.sha256, url.name, options_.stopped)) return *path;
  } else {
    record = cache.url_record(key);
    if (record) copy = cache.find(record->sha256, url.name, options_.stopped);
    if (copy && is_fresh(*record, asked)) return *copy;
  }
  const CachedCopy cached{copy.has_value(), copy ? record->validators : Validators()};
  if (!copy) options_.say(fmt::format("downloading {} to {}", url.shown, cache.root().string()));

  const MonotonicTime began = system_clock().monotonic_now();
  PartialFile partial(cache.url_folder(), key, !url.sha256.empty(), options_.stopped);
  Downloaded result;
  try {
    result = download(url, cached, partial, options_, bound(cache));
  } catch (const FetchError& error) {
    if (partial.size() == 0) partial.discard();
    const bool no_answer =
        error.kind() == FetchErrorKind::kUnreachable || error.kind() == FetchErrorKind::kHttpStatus;
    if (!copy || !no_answer || error.permanent()) throw;
    options_.say(fmt::format("warning: {}; the cached copy is used, which may be older: {}",
                             error.what(), copy->string()));
    result.not_modified = true;
  }
  if (result.not_modified) {
    // Also without an answer: those who wait for the lock must not wait for the server in turn.
    if (partial.size() == 0) partial.discard();
    record->checked_micros = now_micros();
    cache.write_url_record(key, *record);
    return *copy;
  }
  const fs::path path = cache.commit(key, result.sha256, url.name);
  cache.write_url_record(key,
                         {url.shown, result.sha256, result.size, result.validators, now_micros()});
  const std::chrono::duration<double> took = system_clock().monotonic_now() - began;
  options_.say(fmt::format("downloaded {}: {} in {:.1f} s", url.shown, megabytes(result.size),
                           took.count()));
  return path;
}

fs::path Fetcher::from_read_only(const DataCache& cache, const SourceUrl& url) {
  if (url.sha256.empty()) {
    const auto record = cache.url_record(sha256_of(url.key));
    if (record) {
      if (auto path = cache.find(record->sha256, url.name, options_.stopped)) {
        options_.say(
            fmt::format("warning: {}: the cached copy is used without asking the server, "
                        "since {} cannot be written",
                        url.shown, cache.root().string()));
        return *path;
      }
    }
  }
  if (options_.stopped && options_.stopped()) throw_cancelled(url);
  throw FetchError(FetchErrorKind::kCache, false,
                   fmt::format("{}: it is not in the cache {}, which cannot be written; let "
                               "LCTL_DATA_CACHE name a folder that can",
                               url.shown, cache.root().string()));
}

const DataCache& Fetcher::cache() {
  const std::lock_guard lock(mutex_);
  if (cache_ == nullptr) {
    CacheRoots roots{{options_.cache}, true};
    if (options_.cache.empty()) roots = cache_roots(environment_variable);
    cache_ = std::make_unique<const DataCache>(usable_root(roots));
  }
  return *cache_;
}

}  // namespace lctl
