#include "worker/trainer/loggers/tensorboard_event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

#include "worker/trainer/loggers/crc32c.h"
#include "worker/trainer/loggers/host_name.h"

namespace lctl {
namespace {

constexpr const char* kWriter = "tensorboard.summary.writer.event_file_writer";

// Records are length, its checksum, the event, its checksum; numbers are little-endian.
constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kFooterBytes = 4;

constexpr const char* kWho = "TensorBoardLogger";

double seconds(WallTime time) { return static_cast<double>(unix_micros(time)) / 1e6; }

// A name that no other file has.
std::filesystem::path new_path(const std::filesystem::path& folder,
                               const TensorBoardEventFile::Options& options) {
  static std::atomic<int> files{0};
  make_folders(folder, kWho);
  return folder / fmt::format("events.out.tfevents.{:010}.{}.{}.{}{}",
                              unix_micros(options.clock->wall_now()) / 1'000'000, host_name(),
                              getpid(), files.fetch_add(1), options.filename_suffix);
}

}  // namespace

TensorBoardEventFile::TensorBoardEventFile(const std::filesystem::path& folder, Options options)
    : options_(std::move(options)), file_(new_path(folder, options_), kWho) {
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
}

void TensorBoardEventFile::add(tensorboard::Event& event) {
  event.set_wall_time(seconds(options_.clock->wall_now()));
  const std::uint64_t size = event.ByteSizeLong();
  if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max())) {
    throw std::length_error(fmt::format(
        "TensorBoardLogger: an event of {} bytes for {}: events end at 2 GiB, log less at once",
        size, path().string()));
  }
  std::string& waiting = file_.waiting();
  const std::size_t at = waiting.size();
  waiting.resize(at + kHeaderBytes + size + kFooterBytes);
  char* record = waiting.data() + at;
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
  file_.flush();
  waiting_events_ = 0;
}

}  // namespace lctl
