#include "storage/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <utility>

namespace lctl::storage {
namespace {

std::string holder_of(int descriptor) {
  char text[32] = {};
  const ssize_t size = pread(descriptor, text, sizeof(text) - 1, 0);
  if (size <= 0) return "another process";
  return fmt::format("process {}", std::strtol(text, nullptr, 10));
}

}  // namespace

absl::StatusOr<FolderLock> FolderLock::take(const std::filesystem::path& dir) {
  const std::string file = (dir / "lctl.lock").string();
  const int descriptor = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return errno_status(errno, fmt::format("opening {}", file));
  FolderLock lock(descriptor);
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return errno_status(errno, fmt::format("locking {}", file));
    return absl::UnavailableError(
        fmt::format("the data folder {} is held by {}; stop it, or choose another folder",
                    dir.string(), holder_of(descriptor)));
  }
  const std::string pid = fmt::format("{}\n", getpid());
  if (ftruncate(descriptor, 0) != 0 ||
      pwrite(descriptor, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return errno_status(errno, fmt::format("writing {}", file));
  }
  return lock;
}

FolderLock::FolderLock(FolderLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace lctl::storage
