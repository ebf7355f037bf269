#include "worker/trainer/data/fetch/data_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>

#include "worker/trainer/data/fetch/durable_file.h"
#include "worker/trainer/data/fetch/sha256.h"
#include "worker/trainer/data/fetch/verified_file.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;

constexpr char kNote[] = ".verified";
constexpr char kUnpacked[] = ".unpacked";

bool is_ordinary_file(int folder, const std::string& name) {
  struct stat status = {};
  return fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISREG(status.st_mode);
}

// `wanted` if the folder has it, else any other name; "" = it has no file.
std::string content_name(int folder, const std::string& wanted) {
  if (is_ordinary_file(folder, wanted)) return wanted;
  // A descriptor of its own, which closedir() closes.
  const int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (again < 0) throw_errno("opening a content folder");
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(again), closedir);
  if (entries == nullptr) {
    close(again);
    throw_errno("listing a content folder");
  }
  while (const dirent* entry = readdir(entries.get())) {
    if (entry->d_name[0] != '.' && is_ordinary_file(folder, entry->d_name)) return entry->d_name;
  }
  return "";
}

Descriptor open_root(const fs::path& root) {
  Descriptor folder(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) throw_errno("folder " + root.string());
  return folder;
}

// "used now", where that can be written.
void note_use(int folder) {
  const Descriptor note(
      openat(folder, kUsedNote, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
  if (note.valid() && futimens(note.get(), nullptr) != 0) return;
}

// Only if `name` is still the file that was looked at: another process may have put a good one
// there.
void remove_if_same(int folder, const std::string& name, int fd) {
  struct stat ours = {};
  struct stat named = {};
  if (fstat(fd, &ours) == 0 && fstatat(folder, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
      ours.st_ino == named.st_ino)
    remove_file(folder, name);
}

}  // namespace

DataCache::DataCache(const fs::path& root) : DataCache(root, open_root(root)) {}

DataCache::DataCache(const fs::path& root, const Descriptor& folder)
    : root_(root),
      writable_(faccessat(AT_FDCWD, root.c_str(), W_OK | X_OK, AT_EACCESS) == 0),
      uses_(folder.get(), writable_) {
  const auto sub = [&](const char* name) {
    return writable_ ? make_folder(folder.get(), name) : open_folder(folder.get(), name);
  };
  sha256_ = sub("sha256");
  url_ = sub("url");
  file_ = sub("file");
}

std::optional<fs::path> DataCache::find(const std::string& sha256, const std::string& name,
                                        const std::function<bool()>& stopped) const {
  if (!sha256_.valid()) return std::nullopt;
  uses_.use(sha256);  // first: what is found must stay
  const std::string group = sha256.substr(0, 2);
  const Descriptor parent = open_folder(sha256_.get(), group);
  if (!parent.valid()) return std::nullopt;
  const Descriptor folder = open_folder(parent.get(), sha256);
  if (!folder.valid()) return std::nullopt;

  std::string present = content_name(folder.get(), name);
  if (present.empty()) return std::nullopt;
  const Descriptor file(
      openat(folder.get(), present.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid()) {
    if (errno == ENOENT || errno == ELOOP) return std::nullopt;
    throw_errno("opening " + present);
  }
  const auto actual = known_sha256(folder.get(), kNote, file.get(), present, stopped);
  if (!actual) return std::nullopt;
  if (*actual != sha256) {
    if (writable_) remove_if_same(folder.get(), present, file.get());
    return std::nullopt;
  }
  if (present != name &&
      (linkat(folder.get(), present.c_str(), folder.get(), name.c_str(), 0) == 0 ||
       (errno == EEXIST && is_ordinary_file(folder.get(), name))))
    present = name;
  if (writable_) note_use(folder.get());
  return root_ / "sha256" / group / sha256 / present;
}

fs::path DataCache::commit(const std::string& key, const std::string& sha256,
                           const std::string& name) const {
  const std::string partial = key + ".partial";
  std::optional<fs::path> path = find(sha256, name, {});
  if (path) {
    // Another URL has the same content.
    remove_file(url_.get(), partial);
  } else {
    const std::string group = sha256.substr(0, 2);
    const Descriptor parent = make_folder(sha256_.get(), group);
    const Descriptor folder = make_folder(parent.get(), sha256);
    if (renameat(url_.get(), partial.c_str(), folder.get(), name.c_str()) != 0)
      throw_errno("renaming " + partial);
    sync_file(folder.get(), "folder " + sha256);
    const Descriptor file(openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file.valid()) throw_errno("opening " + name);
    note_sha256(folder.get(), kNote, file.get(), name, sha256);
    note_use(folder.get());
    path = root_ / "sha256" / group / sha256 / name;
  }
  remove_file(url_.get(), partial + ".json");
  return *path;
}

fs::path DataCache::place_for(const fs::path& file) const {
  const fs::path folder = file.parent_path();
  if (folder.parent_path().parent_path() == root_ / "sha256") return folder / kUnpacked;
  const fs::path path = fs::absolute(file).lexically_normal();
  const Descriptor open_file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!open_file.valid()) throw_errno("opening " + path.string());
  const FileRecord identity = identity_of(open_file.get(), path.string());
  const std::string key = sha256_of(fmt::format("{}\n{} {} {}", path.string(), identity.size,
                                                identity.modified_nanos, identity.inode));
  uses_.use(key);
  const Descriptor root = open_root(root_);
  if (writable_) note_use(make_folder(make_folder(root.get(), "unpacked").get(), key).get());
  return root_ / "unpacked" / key;
}

std::optional<UrlRecord> DataCache::url_record(const std::string& key) const {
  if (!url_.valid()) return std::nullopt;
  const auto text = read_small_file(url_.get(), key, kMaxRecordSize);
  return text ? parse_url_record(*text) : std::nullopt;
}

void DataCache::write_url_record(const std::string& key, const UrlRecord& record) const {
  write_durably(url_.get(), key, to_json(record));
}

}  // namespace lctl
