#include "worker/trainer/data/fetch/verified_file.h"

#include <sys/stat.h>

#include <system_error>

#include "base/clock.h"
#include "worker/trainer/data/fetch/durable_file.h"
#include "worker/trainer/data/fetch/sha256.h"

namespace lctl {
namespace {

// Coarser than the time stamps of any file system.
constexpr std::int64_t kSettledNanos = 2'000'000'000;

}  // namespace

FileRecord identity_of(int fd, const std::string& name) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) throw_errno("looking at " + name);
  FileRecord identity;
  identity.size = static_cast<std::uint64_t>(status.st_size);
  identity.modified_nanos =
      static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
  identity.inode = status.st_ino;
  return identity;
}

std::optional<std::string> known_sha256(int notes, const std::string& note, int fd,
                                        const std::string& name,
                                        const std::function<bool()>& stopped) {
  FileRecord identity = identity_of(fd, name);
  if (notes >= 0) {
    if (const auto text = read_small_file(notes, note, kMaxRecordSize)) {
      const auto known = parse_file_record(*text);
      if (known) identity.sha256 = known->sha256;
      if (known && *known == identity) return known->sha256;
    }
  }
  Sha256 hash;
  if (!add_file(hash, fd, name, stopped)) return std::nullopt;
  identity.sha256 = hash.hex();
  const std::int64_t now = unix_micros(system_clock().wall_now()) * 1000;
  const FileRecord after = identity_of(fd, name);
  const bool settled = now - identity.modified_nanos > kSettledNanos &&
                       after.modified_nanos == identity.modified_nanos &&
                       after.size == identity.size;
  if (notes >= 0 && settled) {
    try {
      write_durably(notes, note, to_json(identity));
    } catch (const std::system_error&) {
      return identity.sha256;  // it is known, though not for the next process
    }
  }
  return identity.sha256;
}

void note_sha256(int notes, const std::string& note, int fd, const std::string& name,
                 const std::string& sha256) {
  FileRecord identity = identity_of(fd, name);
  identity.sha256 = sha256;
  write_durably(notes, note, to_json(identity));
}

}  // namespace lctl
