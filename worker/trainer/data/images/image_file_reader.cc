#include "worker/trainer/data/images/image_file_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "base/descriptor.h"
#include "worker/trainer/data/bad_sample.h"

namespace lctl {
namespace {

constexpr std::size_t kMaxSize = std::size_t{1} << 30;
constexpr std::size_t kKept = std::size_t{16} << 20;  // one huge file is not paid for for ever

[[noreturn]] void fail(const std::string& path, const char* what, int error) {
  const std::string text = fmt::format("{}: cannot be {}: {}", path, what, std::strerror(error));
  const bool of_the_file = error == ENOENT || error == EACCES || error == ENOTDIR ||
                           error == EISDIR || error == ELOOP || error == ENAMETOOLONG;
  if (of_the_file) throw BadSample(text);
  throw std::runtime_error(text);
}

// open() may be interrupted on network file systems.
int open_for_reading(const std::string& path) {
  int number = -1;
  do {
    number = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  } while (number < 0 && errno == EINTR);
  return number;
}

}  // namespace

void ImageFileReader::reserve(std::size_t size) {
  if (size <= capacity_ && (capacity_ <= kKept || size > kKept)) return;
  memory_.reset();
  capacity_ = 0;
  const std::size_t wanted = std::max(size, std::size_t{256} << 10);
  memory_ = std::make_unique_for_overwrite<char[]>(wanted);
  capacity_ = wanted;
}

std::string_view ImageFileReader::read(const std::string& path) {
  const Descriptor file(open_for_reading(path));
  if (file.get() < 0) fail(path, "opened", errno);
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) fail(path, "looked at", errno);
  if (S_ISDIR(status.st_mode)) fail(path, "read", EISDIR);
  if (!S_ISREG(status.st_mode)) throw BadSample(fmt::format("{}: is not a regular file", path));
  const auto size = static_cast<std::size_t>(std::max<off_t>(status.st_size, 0));
  if (size > kMaxSize) {
    throw BadSample(fmt::format("{}: {} bytes are more than the limit of {} for one sample", path,
                                size, kMaxSize));
  }
  reserve(size);
  std::size_t have = 0;
  while (have < size) {
    const ssize_t count = ::read(file.get(), memory_.get() + have, size - have);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path, "read", errno);
    if (count == 0) break;  // it has become shorter: the decoder will say so
    have += static_cast<std::size_t>(count);
  }
  return {memory_.get(), have};
}

}  // namespace lctl
