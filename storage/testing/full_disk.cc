#include "storage/testing/full_disk.h"

#include <dlfcn.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace lctl::storage {
namespace {

std::atomic<bool> is_full{false};

bool refuses(int fd) {
  if (!is_full.load()) return false;
  struct stat info = {};
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

void fill_disk(bool full) { is_full.store(full); }

}  // namespace lctl::storage

// In a program they come before the C library's, for shared libraries as well.
extern "C" ssize_t write(int fd, const void* bytes, size_t size) {
  using Write = ssize_t (*)(int, const void*, size_t);
  static const auto real = lctl::storage::next<Write>("write");
  if (!lctl::storage::refuses(fd)) return real(fd, bytes, size);
  errno = ENOSPC;
  return -1;
}

extern "C" ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) {
  using Write = ssize_t (*)(int, const void*, size_t, off64_t);
  static const auto real = lctl::storage::next<Write>("pwrite64");
  if (!lctl::storage::refuses(fd)) return real(fd, bytes, size, offset);
  errno = ENOSPC;
  return -1;
}

extern "C" ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  return pwrite64(fd, bytes, size, offset);
}
