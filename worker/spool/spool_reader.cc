#include "worker/spool/spool_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "worker/spool/format.h"

namespace lctl::spool {
namespace {

// Small enough that polling an idle spool costs next to nothing.
constexpr std::size_t kReadStep = 64 << 10;

class FileSpoolReader final : public SpoolReader {
 public:
  FileSpoolReader(std::filesystem::path file, std::uint64_t offset)
      : file_(std::move(file)), offset_(offset) {}

  ~FileSpoolReader() override {
    if (fd_ >= 0) close(fd_);
  }

  std::uint64_t offset() const override { return offset_; }

  absl::StatusOr<std::vector<Record>> read(std::size_t max_bytes) override {
    std::vector<Record> records;
    LCTL_ASSIGN_OR_RETURN(const bool ready, open_and_check_header());
    if (!ready) return records;
    // Enough for the largest record, so that a call with a small limit still makes progress.
    LCTL_RETURN_IF_ERROR(fill(kRecordHeaderBytes + std::min(max_bytes, kMaxRecordBytes)));
    std::string_view rest = buffer_;
    std::size_t taken = 0;
    while (taken == 0 || taken < max_bytes) {
      Decoded decoded = decode_record(rest);
      if (decoded.kind == Decoded::Kind::kIncomplete && taken == 0) {
        // The first record may be larger than what was asked for.
        LCTL_RETURN_IF_ERROR(fill(kRecordHeaderBytes + kMaxRecordBytes));
        rest = buffer_;
        decoded = decode_record(rest);
      }
      if (decoded.kind == Decoded::Kind::kIncomplete) break;
      if (decoded.kind == Decoded::Kind::kCorrupt) {
        if (taken > 0) break;  // hand out what is good first
        if (is_torn_tail(rest, decoded)) break;
        return absl::DataLossError(fmt::format("the spool {} is damaged at byte {}: {}",
                                               file_.string(), offset_, decoded.why));
      }
      records.push_back(
          {offset_ + taken, offset_ + taken + decoded.size, std::string(decoded.payload)});
      taken += decoded.size;
      rest.remove_prefix(decoded.size);
    }
    buffer_.erase(0, taken);
    offset_ += taken;
    return records;
  }

 private:
  // False while the file does not exist or its header is not complete.
  absl::StatusOr<bool> open_and_check_header() {
    if (fd_ < 0) {
      fd_ = ::open(file_.c_str(), O_RDONLY | O_CLOEXEC);
      if (fd_ < 0) {
        if (errno == ENOENT) return false;
        return errno_status(errno, fmt::format("opening the spool {}", file_.string()));
      }
    }
    if (header_seen_) return true;
    char header[8];
    static_assert(sizeof(header) == kFileHeader.size());
    const ssize_t got = pread(fd_, header, sizeof(header), 0);
    if (got < 0) return errno_status(errno, fmt::format("reading the spool {}", file_.string()));
    if (static_cast<std::size_t>(got) < sizeof(header)) return false;
    if (std::string_view(header, sizeof(header)) != kFileHeader) {
      return absl::DataLossError(
          fmt::format("{} is not a spool of this version: its first 8 bytes are not \"{}\"",
                      file_.string(), kFileHeader));
    }
    header_seen_ = true;
    offset_ = std::max<std::uint64_t>(offset_, kFileHeader.size());
    return true;
  }

  // Reads until the buffer holds `wanted` bytes or the file ends.
  absl::Status fill(std::size_t wanted) {
    while (buffer_.size() < wanted) {
      const std::size_t had = buffer_.size();
      const std::size_t step = std::min(wanted - had, kReadStep);
      buffer_.resize(had + step);
      const ssize_t got = pread(fd_, buffer_.data() + had, step, static_cast<off_t>(offset_ + had));
      buffer_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
      if (got < 0 && errno != EINTR) {
        return errno_status(errno, fmt::format("reading the spool {}", file_.string()));
      }
      if (got == 0) break;
    }
    return absl::OkStatus();
  }

  // A power cut can leave the newest record with a wrong checksum, or a tail of zeros. That is a
  // torn end, as a short record is. Damage with good data behind it is not.
  bool is_torn_tail(std::string_view rest, const Decoded& decoded) {
    if (!fill(2 * (kRecordHeaderBytes + kMaxRecordBytes)).ok()) return false;
    rest = buffer_;
    if (decoded.size > 0) return rest.size() <= decoded.size;
    return rest.find_first_not_of('\0') == std::string_view::npos;
  }

  const std::filesystem::path file_;
  int fd_ = -1;
  bool header_seen_ = false;
  std::uint64_t offset_;  // of the first byte of buffer_ in the file
  std::string buffer_;
};

}  // namespace

std::unique_ptr<SpoolReader> SpoolReader::open(std::filesystem::path file, std::uint64_t offset) {
  return std::make_unique<FileSpoolReader>(std::move(file), offset);
}

}  // namespace lctl::spool
