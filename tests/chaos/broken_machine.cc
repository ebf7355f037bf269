// A machine that a test can break, for the processes that load this library (LD_PRELOAD): its disk
// full or slow, its clock set. Needs no privilege. What is broken stands in a file (CHAOS_MACHINE)
// that all of a machine's processes share and the test writes (machine.py).
//
// The clock is what C++ calls the system clock: base/clock reads no other. gRPC and the kernel keep
// theirs, so no waiting of theirs is stretched that a real machine would not stretch.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace {

struct Machine {
  std::atomic<std::int64_t> clock_offset_ns;
  std::atomic<std::int64_t> sync_delay_us;  // of every fsync; a write takes a tenth of it
  std::atomic<std::int64_t> disk_is_full;
};
static_assert(sizeof(Machine) == 24);

const Machine& machine() {
  static const Machine* const shared = []() -> const Machine* {
    static const Machine sound{};
    const char* path = getenv("CHAOS_MACHINE");
    const int fd = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return &sound;
    void* bytes = mmap(nullptr, sizeof(Machine), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    return bytes == MAP_FAILED ? &sound : static_cast<const Machine*>(bytes);
  }();
  return *shared;
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

bool is_file(int fd) {
  struct stat info = {};
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

void delay(std::int64_t micros) {
  if (micros > 0) usleep(static_cast<useconds_t>(micros));
}

// False when the write fails, with its reason in errno.
bool may_write(int fd) {
  const bool full = machine().disk_is_full != 0;
  const std::int64_t micros = machine().sync_delay_us;
  if ((!full && micros == 0) || !is_file(fd)) return true;
  delay(micros / 10);
  if (full) errno = ENOSPC;
  return !full;
}

}  // namespace

extern "C" {

// The C++ library's clock, by its name in the library; a time_point is its count.
std::int64_t _ZNSt6chrono3_V212system_clock3nowEv() {
  using Now = std::int64_t (*)();
  static const auto real = next<Now>("_ZNSt6chrono3_V212system_clock3nowEv");
  return real() + machine().clock_offset_ns;
}

ssize_t write(int fd, const void* bytes, size_t size) {
  using Write = ssize_t (*)(int, const void*, size_t);
  static const auto real = next<Write>("write");
  return may_write(fd) ? real(fd, bytes, size) : -1;
}

ssize_t writev(int fd, const struct iovec* pieces, int count) {
  using Write = ssize_t (*)(int, const struct iovec*, int);
  static const auto real = next<Write>("writev");
  return may_write(fd) ? real(fd, pieces, count) : -1;
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) {
  using Write = ssize_t (*)(int, const void*, size_t, off64_t);
  static const auto real = next<Write>("pwrite64");
  return may_write(fd) ? real(fd, bytes, size, offset) : -1;
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  return pwrite64(fd, bytes, size, offset);
}

int fsync(int fd) {
  using Sync = int (*)(int);
  static const auto real = next<Sync>("fsync");
  delay(machine().sync_delay_us);
  return real(fd);
}

int fdatasync(int fd) {
  using Sync = int (*)(int);
  static const auto real = next<Sync>("fdatasync");
  delay(machine().sync_delay_us);
  return real(fd);
}

}  // extern "C"
