#include "worker/trainer/data/archives/inflated_tar.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <vector>

#include "worker/trainer/data/fetch/download.h"
#include "worker/trainer/data/fetch/durable_file.h"
#include "worker/trainer/data/fetch/fetch_error.h"
#include "worker/trainer/data/formats/inflate.h"
#include "worker/trainer/data/formats/shared_bytes.h"

namespace lctl::archives {
namespace {

constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;
constexpr std::uint64_t kRoomStep = std::uint64_t{64} << 20;  // how large it gets is not known

}  // namespace

InflatedTar::InflatedTar(const std::string& path, const std::string& name, int folder,
                         const UnpackOptions& options)
    : file_(openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) {
  if (!file_.valid()) throw_errno("making a file without a name");
  const SharedBytes mapped = SharedBytes::map(path);
  mapped.advise(Access::kInOrder);
  GzipReader reader(mapped.part(0, mapped.size(), name));
  std::vector<char> buffer(kPiece);
  std::uint64_t room = 0;
  while (const std::uint64_t got = reader.read(buffer.data(), buffer.size())) {
    if (options.stopped && options.stopped())
      throw FetchError(FetchErrorKind::kCancelled, false,
                       fmt::format("{}: stopped while it was unpacked", name));
    if (room < got) {
      if (options.make_room) options.make_room(size_ + kRoomStep);
      room += kRoomStep;
    }
    room -= got;
    try {
      write_all(file_.get(), {buffer.data(), got}, "an inflated tar");
    } catch (const std::system_error& error) {
      throw FetchError(FetchErrorKind::kDiskFull, false,
                       fmt::format("{}: inflating it failed after {} ({}); make room, or let "
                                   "LCTL_DATA_CACHE name a folder on another disk",
                                   name, megabytes(size_), error.what()));
    }
    size_ += got;
  }
}

std::string InflatedTar::path() const { return "/proc/self/fd/" + std::to_string(file_.get()); }

void InflatedTar::give_back(std::uint64_t bytes) {
  given_ += bytes;
  // A file system without holes keeps it all until the end.
  fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(given_));
}

}  // namespace lctl::archives
