#include "worker/trainer/data/webdataset/read_only_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

namespace lctl::webdataset {
namespace {

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw std::runtime_error(fmt::format("{}: {}: {}", path, what, std::strerror(errno)));
}

}  // namespace

std::shared_ptr<const ReadOnlyFile> ReadOnlyFile::open(const std::string& path) {
  int descriptor = -1;
  do {
    // A pipe must not block here; for a regular file the flag means nothing.
    descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) fail(path, "cannot be opened");
  // From here on the object owns the descriptor.
  return std::shared_ptr<const ReadOnlyFile>(new ReadOnlyFile(path, descriptor));
}

ReadOnlyFile::ReadOnlyFile(std::string path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {
  struct stat status = {};
  const bool known = ::fstat(descriptor, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    const int reason = errno;
    ::close(descriptor);
    errno = reason;
    if (!known) fail(path_, "cannot be read");
    throw std::runtime_error(fmt::format(
        "{}: is not a regular file; a shard is read from several places at once, so store it in "
        "a file first",
        path_));
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

ReadOnlyFile::~ReadOnlyFile() { ::close(descriptor_); }

std::size_t ReadOnlyFile::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  std::size_t done = 0;
  while (done < into.size()) {
    if (offset > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()) - done) break;
    const ssize_t got = ::pread(descriptor_, into.data() + done, into.size() - done,
                                static_cast<off_t>(offset + done));
    if (got == 0) break;
    if (got > 0) {
      done += static_cast<std::size_t>(got);
    } else if (errno != EINTR) {
      fail(path_, "cannot be read");
    }
  }
  return done;
}

}  // namespace lctl::webdataset
