#include "worker/trainer/loggers/tensorboard_event_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "worker/trainer/loggers/crc32c.h"

namespace lctl {
namespace {

constexpr const char* kWriter = "tensorboard.summary.writer.event_file_writer";

// Records are length, its checksum, the event, its checksum; numbers are little-endian.
constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kFooterBytes = 4;

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

[[noreturn]] void fail(int error, const char* doing, const std::filesystem::path& path,
                       const char* remedy) {
  throw std::system_error(
      error, std::generic_category(),
      fmt::format("TensorBoardLogger: {} {} ({})", doing, path.string(), remedy));
}

double seconds(WallTime time) { return static_cast<double>(unix_micros(time)) / 1e6; }

}  // namespace

TensorBoardEventFile::TensorBoardEventFile(const std::filesystem::path& folder, Options options)
    : options_(std::move(options)) {
  static std::atomic<int> files{0};
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    fail(error.value(), "making the folder", folder, "save_dir must be a folder you may write to");
  path_ = folder / fmt::format("events.out.tfevents.{:010}.{}.{}.{}{}",
                               unix_micros(options_.clock->wall_now()) / 1'000'000, host_name(),
                               getpid(), files.fetch_add(1), options_.filename_suffix);
  file_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
  if (file_ < 0) fail(errno, "creating", path_, "save_dir must be a folder you may write to");
  tensorboard::Event first;
  first.set_file_version(kEventFileVersion);
  first.mutable_source_metadata()->set_writer(kWriter);
  add(first);
  flush();
}

TensorBoardEventFile::~TensorBoardEventFile() {
  try {
    close();
  } catch (const std::exception&) {
    // The run is ending for a reason of its own; close() tells those who ask.
  }
  if (file_ >= 0) ::close(file_);
}

void TensorBoardEventFile::add(tensorboard::Event& event) {
  event.set_wall_time(seconds(options_.clock->wall_now()));
  const std::uint64_t size = event.ByteSizeLong();
  if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max())) {
    throw std::length_error(fmt::format(
        "TensorBoardLogger: an event of {} bytes for {}: events end at 2 GiB, log less at once",
        size, path_.string()));
  }
  const std::size_t at = waiting_.size();
  waiting_.resize(at + kHeaderBytes + size + kFooterBytes);
  char* record = waiting_.data() + at;
  std::memcpy(record, &size, sizeof size);
  const std::uint32_t size_crc = masked_crc32c({record, sizeof size});
  std::memcpy(record + sizeof size, &size_crc, sizeof size_crc);
  char* payload = record + kHeaderBytes;
  event.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(payload));
  const std::uint32_t payload_crc = masked_crc32c({payload, size});
  std::memcpy(payload + size, &payload_crc, sizeof payload_crc);

  const MonotonicTime now = options_.clock->monotonic_now();
  if (waiting_events_++ == 0) waiting_since_ = now;
  if (waiting_events_ >= options_.max_queue || now - waiting_since_ >= options_.flush_secs) flush();
}

void TensorBoardEventFile::flush() {
  std::size_t written = 0;
  while (written < waiting_.size()) {
    const ssize_t count = write(file_, waiting_.data() + written, waiting_.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const int error = errno;
      waiting_.erase(0, written);
      fail(error, "writing", path_,
           error == ENOSPC || error == EDQUOT ? "free space there, or give another save_dir"
                                              : "the folder must stay writable during the run");
    }
    written += static_cast<std::size_t>(count);
  }
  waiting_.clear();  // keeps its memory
  waiting_events_ = 0;
}

void TensorBoardEventFile::close() {
  if (file_ < 0) return;
  flush();
  if (::close(std::exchange(file_, -1)) != 0)
    fail(errno, "closing", path_, "some events may be missing in it");
}

}  // namespace lctl
