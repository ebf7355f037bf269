#include "worker/agent/download.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "base/log.h"
#include "proto/lctl/v1/checkpoint.grpc.pb.h"
#include "worker/agent/content_hash.h"
#include "worker/agent/process_start.h"

namespace lctl::agent {
namespace {

constexpr int kFruitlessTries = 3;

absl::Status write_all(int fd, std::uint64_t offset, std::string_view bytes,
                       const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t got = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_status(errno, fmt::format("writing {}", name));
    offset += static_cast<std::uint64_t>(got);
    bytes.remove_prefix(static_cast<std::size_t>(got));
  }
  return absl::OkStatus();
}

// Said before gigabytes are moved for nothing.
absl::Status check_room(const Download& download) {
  struct statvfs disk = {};
  if (statvfs(download.file.parent_path().c_str(), &disk) != 0) return absl::OkStatus();
  const auto free = static_cast<std::int64_t>(disk.f_bavail * disk.f_frsize);
  if (free >= download.size) return absl::OkStatus();
  return absl::ResourceExhaustedError(fmt::format(
      "checkpoint {} has {} bytes, but {} has room for {} only; free some space there",
      download.checkpoint_id, download.size, download.file.parent_path().string(), free));
}

bool may_be_tried_again(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsAborted(status) || absl::IsInternal(status) ||
         absl::IsUnknown(status) || absl::IsDeadlineExceeded(status);
}

// A file that is being fetched, and the hash of what it holds.
class PartialFile {
 public:
  explicit PartialFile(const Download& download)
      : download_(download), part_(download.file.string() + ".part") {}

  absl::Status open_empty() {
    fd_ = Descriptor(open(part_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
    if (!fd_.valid()) return errno_status(errno, fmt::format("creating {}", part_));
    hash_ = ContentHash();
    have_ = 0;
    return absl::OkStatus();
  }

  // Goes on behind what is there.
  absl::Status fetch(v1::Checkpoints::Stub& stub, Cancellation& cancellation) {
    grpc::ClientContext context;
    const Cancellation::Call call(cancellation, context);
    v1::DownloadRequest request;
    request.set_checkpoint_id(download_.checkpoint_id);
    request.set_offset(static_cast<std::int64_t>(have_));
    const auto reader = stub.Download(&context, request);
    absl::Status status;
    v1::DownloadChunk chunk;
    while (status.ok() && reader->Read(&chunk)) status = take(chunk);
    if (!status.ok()) context.TryCancel();
    const grpc::Status finished = reader->Finish();
    if (!status.ok() || finished.ok()) return status;
    return {static_cast<absl::StatusCode>(finished.error_code()),
            fmt::format("downloading checkpoint {}: {}", download_.checkpoint_id,
                        finished.error_message())};
  }

  absl::Status finish() {
    if (static_cast<std::int64_t>(have_) != total_ || hash_.hex() != expected_) {
      return absl::DataLossError(
          fmt::format("checkpoint {} arrived damaged: {} bytes, and not with the hash {}",
                      download_.checkpoint_id, have_, expected_));
    }
    if (rename(part_.c_str(), download_.file.c_str()) != 0)
      return errno_status(errno, fmt::format("renaming {}", part_));
    return absl::OkStatus();
  }

  void remove() { unlink(part_.c_str()); }
  std::uint64_t have() const { return have_; }

 private:
  absl::Status take(const v1::DownloadChunk& chunk) {
    if (!chunk.sha256().empty()) {
      expected_ = chunk.sha256();
      total_ = chunk.total_size();
      if (download_.size > 0 && total_ != download_.size) {
        return absl::DataLossError(
            fmt::format("checkpoint {} has {} bytes in the store; the launch says {}",
                        download_.checkpoint_id, total_, download_.size));
      }
    }
    if (chunk.offset() != static_cast<std::int64_t>(have_)) {
      return absl::DataLossError(fmt::format("checkpoint {}: byte {} came where {} was due",
                                             download_.checkpoint_id, chunk.offset(), have_));
    }
    if (download_.damaged && have_ == 0 && !chunk.data().empty()) {
      std::string other = chunk.data();
      other.front() = static_cast<char>(other.front() ^ 1);
      return keep(other);
    }
    return keep(chunk.data());
  }

  absl::Status keep(std::string_view bytes) {
    LCTL_RETURN_IF_ERROR(write_all(fd_.get(), have_, bytes, part_));
    hash_.update(bytes);
    have_ += bytes.size();
    return absl::OkStatus();
  }

  const Download& download_;
  const std::string part_;
  Descriptor fd_;
  ContentHash hash_;
  std::uint64_t have_ = 0;
  std::int64_t total_ = 0;
  std::string expected_;
};

// From the beginning to the whole file, over as many streams as it takes.
absl::Status fetch_all(v1::Checkpoints::Stub& stub, PartialFile& file, Cancellation& cancellation) {
  LCTL_RETURN_IF_ERROR(file.open_empty());
  int fruitless = 0;
  while (true) {
    const std::uint64_t before = file.have();
    absl::Status status = file.fetch(stub, cancellation);
    if (status.ok()) status = file.finish();
    if (status.ok() || cancellation.cancelled() || !may_be_tried_again(status)) return status;
    fruitless = file.have() > before ? 0 : fruitless + 1;
    if (fruitless == kFruitlessTries) return status;
    logger("download").warn("{}; {} bytes are here, going on", message_of(status), file.have());
  }
}

}  // namespace

absl::Status download_checkpoint(const std::shared_ptr<grpc::Channel>& channel,
                                 const Download& download, Cancellation& cancellation) {
  LCTL_RETURN_IF_ERROR(check_room(download));
  const auto stub = v1::Checkpoints::NewStub(channel);
  PartialFile file(download);
  absl::Status status = fetch_all(*stub, file, cancellation);
  if (absl::IsDataLoss(status) && !cancellation.cancelled()) {
    logger("download").warn("{}; it is fetched once again", message_of(status));
    status = fetch_all(*stub, file, cancellation);
  }
  if (!status.ok()) file.remove();
  return status;
}

}  // namespace lctl::agent
