#include "worker/trainer/data/fetch/partial_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "worker/trainer/data/fetch/durable_file.h"
#include "worker/trainer/data/fetch/fetch_error.h"

namespace lctl {
namespace {

// Changes whenever the machine starts.
std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

PartialFile::PartialFile(int folder, const std::string& key, bool has_checksum,
                         const std::function<bool()>& stopped)
    : folder_(folder), name_(key + ".partial") {
  open();
  if (!load(has_checksum, stopped)) restart({}, std::nullopt);
}

void PartialFile::open() {
  for (int attempt = 0; attempt < 2; ++attempt) {
    file_ = Descriptor(openat(folder_, name_.c_str(),
                              O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
    if (!file_.valid() && errno != ELOOP) throw_errno("opening " + name_);
    if (file_.valid()) {
      struct stat status = {};
      if (fstat(file_.get(), &status) != 0) throw_errno("looking at " + name_);
      if (S_ISREG(status.st_mode) && status.st_nlink == 1) {
        // Best effort: the file may be another user's in a shared cache.
        if (status.st_uid == geteuid() && fchmod(file_.get(), 0644) != 0)
          throw_errno("mode of " + name_);
        return;
      }
    }
    // A link to somewhere else: nothing that we made.
    remove_file(folder_, name_);
  }
  errno = EEXIST;
  throw_errno("opening " + name_);
}

bool PartialFile::load(bool has_checksum, const std::function<bool()>& stopped) {
  struct stat status = {};
  if (fstat(file_.get(), &status) != 0) throw_errno("looking at " + name_);
  if (status.st_size == 0) return false;
  const auto text = read_small_file(folder_, name_ + ".json", kMaxRecordSize);
  const auto record = text ? parse_partial_record(*text) : std::nullopt;
  if (!record) return false;
  const bool same_boot = !record->boot_id.empty() && record->boot_id == boot_id();
  if (!has_checksum && (record->validators.strong().empty() || !same_boot)) return false;
  if (!add_file(hash_, file_.get(), name_, stopped))
    throw FetchError(FetchErrorKind::kCancelled, false, "stopped while reading " + name_);
  record_ = *record;
  size_ = static_cast<std::uint64_t>(status.st_size);
  if (pread(file_.get(), &last_byte_, 1, status.st_size - 1) != 1 ||
      lseek(file_.get(), 0, SEEK_END) != status.st_size)
    throw_errno("reading " + name_);
  return true;
}

void PartialFile::restart(const Validators& validators, std::optional<std::uint64_t> total) {
  // First empty, then described: bytes are never described as a part of something else.
  if (ftruncate(file_.get(), 0) != 0 || lseek(file_.get(), 0, SEEK_SET) != 0)
    throw_errno("emptying " + name_);
  hash_ = Sha256();
  size_ = 0;
  stitched_ = false;
  record_ = {validators, total, boot_id()};
  if (validators.empty() && !total) {
    remove_file(folder_, name_ + ".json");
  } else {
    write_durably(folder_, name_ + ".json", to_json(record_));
  }
}

void PartialFile::append(std::string_view bytes) {
  if (bytes.empty()) return;
  write_all(file_.get(), bytes, name_);
  hash_.update(bytes);
  size_ += bytes.size();
  last_byte_ = bytes.back();
}

std::uint64_t PartialFile::space_left() const {
  struct statvfs status = {};
  if (fstatvfs(file_.get(), &status) != 0) return UINT64_MAX;
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

std::string PartialFile::finish() {
  sync_file(file_.get(), name_);
  return hash_.hex();
}

void PartialFile::discard() {
  file_ = Descriptor();
  remove_file(folder_, name_);
  remove_file(folder_, name_ + ".json");
}

}  // namespace lctl
