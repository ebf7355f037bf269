#include "worker/trainer/data/formats/shared_bytes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

#include "base/check.h"

namespace lctl {
namespace {

// Of the widest vector registers, and what at::empty gives.
constexpr std::uint64_t kAlignment = 64;

[[noreturn]] void fail(const std::string& path, const char* what, int error) {
  throw std::runtime_error(fmt::format("{}: {}: {}", path, what, std::strerror(error)));
}

}  // namespace

SharedBytes SharedBytes::map(const std::string& path) {
  // Without O_NONBLOCK, opening a pipe waits for a writer.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) fail(path, "cannot be opened", errno);
  struct stat info = {};
  const bool known = fstat(descriptor, &info) == 0;
  const int stat_error = errno;
  SharedBytes file;
  file.name_ = path;
  if (known && S_ISREG(info.st_mode) && info.st_size > 0) {
    file.size_ = static_cast<std::uint64_t>(info.st_size);
    // Without MAP_NORESERVE, the kernel refuses a writable mapping that is larger than its memory,
    // as if all of it were going to be written.
    void* start = mmap(nullptr, file.size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
                       descriptor, 0);
    const int map_error = errno;
    close(descriptor);
    if (start == MAP_FAILED) fail(path, "cannot be mapped into memory", map_error);
    file.data_ = static_cast<char*>(start);
    file.mapped_ = true;
    file.owner_ =
        std::shared_ptr<void>(start, [size = file.size_](void* mapping) { munmap(mapping, size); });
    return file;
  }
  close(descriptor);
  if (!known) fail(path, "cannot be opened", stat_error);
  if (S_ISDIR(info.st_mode)) fail(path, "cannot be read", EISDIR);
  if (!S_ISREG(info.st_mode)) {
    throw std::runtime_error(
        fmt::format("{}: is a pipe or a device; only a regular file can be mapped", path));
  }
  return file;
}

SharedBytes SharedBytes::of(std::string bytes, std::string name) {
  const auto kept = std::make_shared<std::string>(std::move(bytes));
  SharedBytes file;
  file.data_ = kept->data();
  file.size_ = kept->size();
  file.name_ = std::move(name);
  file.owner_ = kept;
  return file;
}

SharedBytes SharedBytes::allocate(std::uint64_t size, std::string name) {
  SharedBytes file;
  file.name_ = std::move(name);
  file.size_ = size;
  if (size == 0) return file;
  const std::uint64_t rounded = (size + kAlignment - 1) / kAlignment * kAlignment;
  void* room = rounded < size ? nullptr : std::aligned_alloc(kAlignment, rounded);
  if (room == nullptr) throw std::bad_alloc();
  file.data_ = static_cast<char*>(room);
  file.owner_ = std::shared_ptr<void>(room, [](void* memory) { std::free(memory); });
  return file;
}

SharedBytes SharedBytes::part(std::uint64_t offset, std::uint64_t size, std::string name) const {
  LCTL_CHECK(offset <= size_ && size <= size_ - offset, "parsers check offsets");
  SharedBytes file = *this;
  file.data_ += offset;
  file.size_ = size;
  file.name_ = std::move(name);
  return file;
}

void SharedBytes::advise(Access access) const {
  if (!mapped_ || size_ == 0) return;
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<std::uintptr_t>(data_);
  const std::uintptr_t before = start % page;
  const int advice = access == Access::kRandom    ? MADV_RANDOM
                     : access == Access::kInOrder ? MADV_SEQUENTIAL
                                                  : MADV_NORMAL;
  // Only advice: where it is refused, reading works all the same.
  static_cast<void>(madvise(data_ - before, size_ + before, advice));
}

std::uint64_t memory_size() {
  return static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace lctl
