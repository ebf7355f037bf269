#include "worker/trainer/data/fetch/cache_bound.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/descriptor.h"
#include "base/id.h"
#include "jobspec/quantity.h"
#include "worker/trainer/data/fetch/cache_record.h"
#include "worker/trainer/data/fetch/data_cache.h"
#include "worker/trainer/data/fetch/download.h"
#include "worker/trainer/data/fetch/durable_file.h"
#include "worker/trainer/data/fetch/fetch_error.h"
#include "worker/trainer/data/fetch/file_lock.h"
#include "worker/trainer/data/fetch/use_locks.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;

constexpr char kVariable[] = "LCTL_DATA_CACHE_SIZE";
constexpr char kPartial[] = ".partial";
constexpr std::size_t kMaxNumber = 32;

struct Entry {
  fs::path path;         // a folder, or an unfinished download
  std::string id;        // by which it is locked
  bool partial = false;  // then by its URL's lock
  std::uint64_t size = 0;
  std::int64_t used_nanos = 0;
};

std::string gigabytes(std::uint64_t bytes) {
  return bytes < 1'000'000'000 ? megabytes(bytes)
                               : fmt::format("{:.1f} GB", static_cast<double>(bytes) / 1e9);
}

std::int64_t modified_nanos(const struct stat& status) {
  return static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
}

std::optional<std::string> small_file(const fs::path& path, std::size_t limit) {
  const Descriptor folder(
      open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid()) return std::nullopt;
  return read_small_file(folder.get(), path.filename().string(), limit);
}

template <typename Visit>
void for_each_in(const fs::path& folder, const Visit& visit) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    visit(at->path());
}

// The bytes of regular files below a folder, each once, however many names it has. What goes away
// meanwhile is not counted.
class Count {
 public:
  void add(const fs::path& folder) {
    if (const auto note = small_file(folder / kSizeNote, kMaxNumber)) {
      bytes_ += std::strtoull(note->c_str(), nullptr, 10);
      return;
    }
    for_each_in(folder, [this](const fs::path& path) {
      struct stat status = {};
      if (lstat(path.c_str(), &status) != 0) return;
      if (S_ISDIR(status.st_mode)) add(path);
      if (S_ISREG(status.st_mode) && seen_.insert(status.st_ino).second)
        bytes_ += static_cast<std::uint64_t>(status.st_size);
    });
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::set<ino_t> seen_;
  std::uint64_t bytes_ = 0;
};

void add_entry(const fs::path& folder, std::vector<Entry>& entries) {
  struct stat status = {};
  if (lstat((folder / kUsedNote).c_str(), &status) != 0 && lstat(folder.c_str(), &status) != 0)
    return;
  Count count;
  count.add(folder);
  entries.push_back(
      {folder, folder.filename().string(), false, count.bytes(), modified_nanos(status)});
}

void add_partial(const fs::path& path, std::vector<Entry>& entries) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) return;
  Entry entry{path, path.stem().string(), true, static_cast<std::uint64_t>(status.st_size),
              modified_nanos(status)};
  const auto text = small_file(path.string() + ".json", kMaxRecordSize);
  const auto record = text ? parse_partial_record(*text) : std::nullopt;
  if (record && record->total) entry.size = std::max(entry.size, *record->total);
  entries.push_back(std::move(entry));
}

// A name that the cache gives: a SHA-256.
bool is_entry(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::vector<Entry> entries_of(const fs::path& root) {
  std::vector<Entry> entries;
  const auto visit = [&](const fs::path& path) {
    if (is_entry(path)) add_entry(path, entries);
  };
  for_each_in(root / "sha256", [&](const fs::path& group) { for_each_in(group, visit); });
  for_each_in(root / "unpacked", visit);
  for_each_in(root / "url", [&](const fs::path& path) {
    if (path.extension() == kPartial) add_partial(path, entries);
  });
  return entries;
}

// Whether it is gone now: nobody uses it.
bool remove_entry(const fs::path& root, const Entry& entry, RemovalLock& lock) {
  std::error_code error;
  if (entry.partial) {
    const fs::path name = entry.path.parent_path() / (entry.id + ".lock");
    const Descriptor file(open(name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!file.valid() || flock(file.get(), LOCK_EX | LOCK_NB) != 0) return false;
    fs::remove(entry.path, error);
    if (error) return false;
    fs::remove(entry.path.string() + ".json", error);
    return true;
  }
  if (!lock.try_lock(entry.id)) return false;
  // First out of sight at once: others never see half of it.
  const fs::path trash = root / "trash";
  fs::create_directories(trash, error);
  fs::rename(entry.path, trash / random_id(16), error);
  lock.unlock();
  if (error) return false;  // another user's
  fs::remove_all(trash, error);
  return true;
}

}  // namespace

std::optional<std::uint64_t> cache_bound(const std::function<std::string(const char*)>& variable) {
  const std::string text = variable(kVariable);
  if (text.empty()) return std::nullopt;
  const bool number = text.find_first_not_of("0123456789") == std::string::npos;
  // "200G" as well as "200GB".
  const bool short_unit = std::string_view("KMGTi").find(text.back()) != std::string_view::npos;
  const std::string with_unit = number ? text + "B" : short_unit ? text + "B" : text;
  const jobspec::Quantity<std::int64_t> size = jobspec::parse_size(jobspec::Value(with_unit));
  if (size.value && *size.value > 0) return static_cast<std::uint64_t>(*size.value);
  throw FetchError(FetchErrorKind::kCache, true,
                   fmt::format("{}={}: {}; it is the most that the cache of fetched files may "
                               "hold, as in 200G",
                               kVariable, text, size.value ? "is nothing" : size.problem));
}

CacheBound::CacheBound(fs::path root, Options options)
    : root_(std::move(root)), options_(std::move(options)) {}

void CacheBound::make_room(const RoomFor& wanted) const {
  if (!options_.bytes) return;
  const std::uint64_t bound = *options_.bytes;
  if (wanted.size > bound)
    throw FetchError(
        FetchErrorKind::kDiskFull, true,
        fmt::format("{}: it takes {}, but the cache {} may hold {} ({}); raise that", wanted.what,
                    gigabytes(wanted.size), root_.string(), gigabytes(bound), kVariable));
  const Descriptor root(open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) throw_errno("folder " + root_.string());
  const FileLock one_at_a_time(root.get(), "evict.lock",
                               {options_.stopped, options_.say, "makes room in the cache"});
  std::error_code ignored;  // what somebody was killed over
  fs::remove_all(root_ / "trash", ignored);

  std::vector<Entry> entries = entries_of(root_);
  std::uint64_t held = wanted.uncounted;
  for (const Entry& entry : entries) held += entry.size;
  if (held <= bound) return;
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.used_nanos < b.used_nanos; });
  RemovalLock lock(root.get());
  std::uint64_t removed = 0;
  int count = 0;
  for (const Entry& entry : entries) {
    if (held <= bound) break;
    if (entry.size == 0 || !remove_entry(root_, entry, lock)) continue;
    held -= entry.size;
    removed += entry.size;
    ++count;
  }
  if (count > 0 && options_.say)
    options_.say(
        fmt::format("removed what was used longest ago from the cache {}: {} of {}, to make room "
                    "for {} ({}: {})",
                    root_.string(), gigabytes(removed),
                    count == 1 ? "one file" : fmt::format("{} files", count), wanted.what,
                    kVariable, gigabytes(bound)));
  if (held <= bound) return;
  throw FetchError(
      FetchErrorKind::kDiskFull, false,
      fmt::format(
          "{}: with it the cache {} would hold {}, and may hold {} ({}); the rest is in use "
          "by jobs that run: raise that, or try again when they have ended",
          wanted.what, root_.string(), gigabytes(held), gigabytes(bound), kVariable));
}

}  // namespace lctl
