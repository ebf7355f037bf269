#include "worker/pulse/pulse_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

namespace lctl::pulse {

absl::StatusOr<PulseReader> PulseReader::open(const std::filesystem::path& link, pid_t pid) {
  std::array<char, 64> buffer{};
  const ssize_t size = readlink(link.c_str(), buffer.data(), buffer.size());
  if (size < 0 && errno == ENOENT) return absl::NotFoundError(link.string() + " is not there");
  if (size < 0) return absl::FailedPreconditionError(link.string() + " is no symbolic link");
  const std::string target(buffer.data(), static_cast<std::size_t>(size));
  // A job may put anything there: only memory of this very process is opened.
  const std::string prefix = "/proc/" + std::to_string(pid) + "/fd/";
  const std::string_view number =
      std::string_view(target).substr(target.starts_with(prefix) ? prefix.size() : target.size());
  if (number.empty() || number.find_first_not_of("0123456789") != std::string_view::npos) {
    return absl::FailedPreconditionError(link.string() + " leads to " + target +
                                         ", which is no memory of process " + std::to_string(pid));
  }
  Descriptor memory(::open(target.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!memory.valid()) return errno_status(errno, "opening " + target);
  struct stat status{};
  if (fstat(memory.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError(target + " is no memory");
  }
  PulseReader reader(std::move(memory), pid);
  const absl::StatusOr<Page> page = reader.read();
  if (!page.ok()) return absl::FailedPreconditionError(page.status().message());
  return reader;
}

absl::StatusOr<Page> PulseReader::read() const {
  std::array<char, sizeof(Page)> bytes;
  if (pread(memory_.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return absl::DataLossError("the pulse is cut short");
  }
  Page page;
  std::memcpy(&page, bytes.data(), bytes.size());
  if (page.magic != kMagic || page.version != kVersion ||
      page.pid != static_cast<std::uint32_t>(pid_)) {
    return absl::DataLossError("this is no pulse of version " + std::to_string(kVersion));
  }
  return page;
}

}  // namespace lctl::pulse
