#include "worker/trainer/data/fetch/use_locks.h"

#include <fcntl.h>

#include <cerrno>
#include <string>

namespace lctl {
namespace {

constexpr char kFile[] = "use.lock";
constexpr std::size_t kDigits = 15;  // 60 bits, an offset that off_t has

Descriptor open_locks(int root, bool writable) {
  const int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  Descriptor file;
  if (writable) file = Descriptor(openat(root, kFile, O_RDWR | O_CREAT | flags, 0644));
  if (!file.valid()) file = Descriptor(openat(root, kFile, O_RDONLY | flags));
  return file;
}

struct flock byte_of(const std::string& entry, short type) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(std::stoull(entry.substr(0, kDigits), nullptr, 16));
  lock.l_len = 1;
  return lock;
}

}  // namespace

UseLocks::UseLocks(int root, bool writable) : file_(open_locks(root, writable)) {}

void UseLocks::use(const std::string& entry) const {
  if (!file_.valid()) return;
  struct flock lock = byte_of(entry, F_RDLCK);
  // A file system without locks refuses RemovalLock's as well.
  while (fcntl(file_.get(), F_OFD_SETLKW, &lock) != 0 && errno == EINTR) {
  }
}

RemovalLock::RemovalLock(int root) : file_(open_locks(root, true)) {}

bool RemovalLock::try_lock(const std::string& entry) {
  unlock();
  if (!file_.valid()) return false;
  struct flock lock = byte_of(entry, F_WRLCK);
  return fcntl(file_.get(), F_OFD_SETLK, &lock) == 0;
}

void RemovalLock::unlock() {
  struct flock all = {};
  all.l_type = F_UNLCK;
  all.l_whence = SEEK_SET;  // from the first to the last byte
  if (file_.valid()) fcntl(file_.get(), F_OFD_SETLK, &all);
}

}  // namespace lctl
