#include "worker/agent/upload.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <future>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "worker/agent/chunk_cuts.h"
#include "worker/agent/content_hash.h"
#include "worker/agent/zip_entries.h"

namespace lctl::agent {
namespace {

constexpr int kMostHashesAsked = 65'536;  // in one call
constexpr std::chrono::milliseconds kFirstPause{200};
constexpr std::chrono::milliseconds kLongestPause{10'000};

absl::Status to_status(const grpc::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  return {static_cast<absl::StatusCode>(status.error_code()),
          fmt::format("{}: {}", what, status.error_message())};
}

// Repeating cannot help: the store has answered.
bool is_final(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status) ||
         absl::IsNotFound(status);
}

// Cut at its tensors when it is a checkpoint; any other file in equal pieces.
absl::StatusOr<std::vector<std::uint64_t>> cuts_of(const Descriptor& fd, const Upload& upload) {
  struct stat info = {};
  if (fstat(fd.get(), &info) != 0)
    return errno_status(errno, fmt::format("reading {}", upload.file.string()));
  const auto size = static_cast<std::uint64_t>(info.st_size);
  absl::StatusOr<ZipLayout> layout = zip_layout(fd.get(), size, upload.file);
  if (layout.ok()) return chunk_sizes(size, *std::move(layout));
  if (!absl::IsInvalidArgument(layout.status())) return layout.status();
  return chunk_sizes(size, std::nullopt);
}

// The chunks of a file and the hash of the whole, which is computed beside theirs.
absl::StatusOr<v1::CommitCheckpointRequest> make_manifest(const Descriptor& fd,
                                                          const Upload& upload,
                                                          const Cancellation& stopping) {
  v1::CommitCheckpointRequest manifest;
  manifest.set_job_id(upload.attempt.job.str());
  manifest.set_attempt(upload.attempt.number);
  manifest.set_rank(upload.rank);
  *manifest.mutable_written() = upload.written;
  manifest.set_time_us(upload.time_us);
  LCTL_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> sizes, cuts_of(fd, upload));
  ContentHash whole;
  std::uint64_t offset = 0;
  for (const std::uint64_t size : sizes) {
    if (stopping.cancelled()) return absl::CancelledError("the node daemon is stopping");
    LCTL_ASSIGN_OR_RETURN(const std::string bytes, read_at(fd.get(), offset, size, upload.file));
    if (bytes.size() < size)
      return absl::DataLossError(fmt::format("{} became shorter", upload.file.string()));
    const std::future<void> beside = std::async([&] { whole.update(bytes); });
    ContentHash chunk;
    chunk.update(bytes);
    beside.wait();
    v1::ChunkRef& reference = *manifest.add_chunks();
    reference.set_sha256(chunk.hex());
    reference.set_size(static_cast<std::int64_t>(size));
    offset += size;
  }
  manifest.set_sha256(whole.hex());
  return manifest;
}

std::string name_of(const Upload& upload) {
  return fmt::format("{} rank {}: {}", upload.attempt.str(), upload.rank,
                     upload.file.filename().string());
}

}  // namespace

Uploader::Uploader(std::shared_ptr<grpc::Channel> channel, OnDone on_done,
                   std::shared_ptr<Cancellation> partition)
    : stub_(v1::Checkpoints::NewStub(channel)),
      on_done_(std::move(on_done)),
      partition_(std::move(partition)),
      thread_([this] { run(); }) {}

Uploader::~Uploader() {
  stopping_.cancel();
  {
    const std::lock_guard lock(mutex_);  // or the thread could miss the wake-up
  }
  changed_.notify_all();
  thread_.join();
}

void Uploader::add(Upload upload) {
  std::vector<Upload> overtaken;
  {
    const std::lock_guard lock(mutex_);
    overtaken = take_overtaken(upload);
    queue_.push_back({.upload = std::move(upload), .number = ++added_});
  }
  changed_.notify_all();
  for (const Upload& each : overtaken) {
    logger("upload").info("{} is not sent: a newer one is there", name_of(each));
    std::error_code ignored;
    std::filesystem::remove(each.file, ignored);
    on_done_(each, absl::OkStatus());
  }
}

std::vector<Upload> Uploader::take_overtaken(const Upload& by) {
  std::vector<Upload> taken;
  const v1::CheckpointKind kind = by.written.kind();
  if (kind != v1::CHECKPOINT_KIND_RECOVERY && kind != v1::CHECKPOINT_KIND_STOP) return taken;
  std::erase_if(queue_, [&](Waiting& each) {
    const Upload& older = each.upload;
    if (each.number == in_flight_ || older.even_if_overtaken || older.attempt != by.attempt ||
        older.rank != by.rank || older.written.kind() != v1::CHECKPOINT_KIND_RECOVERY) {
      return false;
    }
    taken.push_back(std::move(each.upload));
    return true;
  });
  return taken;
}

void Uploader::drop(const AttemptId& attempt) {
  const std::lock_guard lock(mutex_);
  std::erase_if(queue_, [&](const Waiting& each) { return each.upload.attempt == attempt; });
}

// The first that may be tried now and has no older one of its rank before it; null when there is
// none.
Uploader::Waiting* Uploader::next_due(MonotonicTime now) {
  std::set<std::pair<AttemptId, int>> ranks;
  for (Waiting& each : queue_) {
    if (ranks.emplace(each.upload.attempt, each.upload.rank).second && each.not_before <= now)
      return &each;
  }
  return nullptr;
}

void Uploader::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_.cancelled()) {
    const Waiting* due = next_due(system_clock().monotonic_now());
    if (due == nullptr) {
      // Until something is added; failed ones are looked at again in steps of their smallest pause.
      if (queue_.empty())
        changed_.wait(lock);
      else
        changed_.wait_for(lock, kFirstPause);
      continue;
    }
    const Upload next = due->upload;
    const std::uint64_t number = in_flight_ = due->number;
    lock.unlock();
    const absl::Status status = upload(next);
    lock.lock();
    in_flight_ = 0;
    if (!stopping_.cancelled()) finished(number, status, lock);
  }
}

void Uploader::finished(std::uint64_t number, const absl::Status& status,
                        std::unique_lock<std::mutex>& lock) {
  const auto found = std::find_if(queue_.begin(), queue_.end(),
                                  [&](const Waiting& each) { return each.number == number; });
  if (found == queue_.end()) return;  // dropped meanwhile
  if (!status.ok() && !is_final(status)) {
    found->pause = std::clamp<Duration>(2 * found->pause, kFirstPause, kLongestPause);
    found->not_before = system_clock().monotonic_now() + found->pause;
    logger("upload").warn("{}: {}; trying again in {} ms", name_of(found->upload),
                          message_of(status), found->pause.count() / 1000);
    return;
  }
  const Upload done = std::move(found->upload);
  queue_.erase(found);
  lock.unlock();
  if (!status.ok()) logger("upload").error("{} is given up: {}", name_of(done), message_of(status));
  std::error_code ignored;
  std::filesystem::remove(done.file, ignored);
  on_done_(done, status);
  lock.lock();
}

absl::Status Uploader::upload(const Upload& upload) {
  const Descriptor fd(open(upload.file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() && errno == ENOENT) {
    logger("upload").info("{} is gone: it was stored before", name_of(upload));
    return absl::OkStatus();
  }
  if (!fd.valid()) return errno_status(errno, fmt::format("opening {}", upload.file.string()));
  LCTL_ASSIGN_OR_RETURN(const v1::CommitCheckpointRequest manifest,
                        make_manifest(fd, upload, stopping_));
  LCTL_RETURN_IF_ERROR(send_chunks(upload, fd, manifest));
  grpc::ClientContext context;
  const Cancellation::Call call(stopping_, context);
  const Cancellation::Call cut(*partition_, context);
  v1::CommitCheckpointResponse response;
  return to_status(stub_->Commit(&context, manifest, &response), "committing");
}

absl::StatusOr<std::set<std::string>> Uploader::missing(
    const v1::CommitCheckpointRequest& manifest) {
  std::set<std::string> wanted;
  for (int first = 0; first < manifest.chunks_size(); first += kMostHashesAsked) {
    const int end = std::min(manifest.chunks_size(), first + kMostHashesAsked);
    v1::FindMissingRequest request;
    for (int i = first; i < end; ++i) request.add_sha256(manifest.chunks(i).sha256());
    grpc::ClientContext context;
    const Cancellation::Call call(stopping_, context);
    const Cancellation::Call cut(*partition_, context);
    v1::FindMissingResponse response;
    LCTL_RETURN_IF_ERROR(
        to_status(stub_->FindMissing(&context, request, &response), "asking for missing chunks"));
    wanted.insert(response.sha256().begin(), response.sha256().end());
  }
  return wanted;
}

absl::Status Uploader::send_chunks(const Upload& upload, const Descriptor& fd,
                                   const v1::CommitCheckpointRequest& manifest) {
  LCTL_ASSIGN_OR_RETURN(std::set<std::string> wanted, missing(manifest));
  if (wanted.empty()) return absl::OkStatus();

  grpc::ClientContext context;
  const Cancellation::Call call(stopping_, context);
  const Cancellation::Call cut(*partition_, context);
  v1::PutChunksResponse response;
  const auto writer = stub_->PutChunks(&context, &response);
  std::uint64_t offset = 0;
  for (const v1::ChunkRef& reference : manifest.chunks()) {
    if (wanted.erase(reference.sha256()) > 0) {
      absl::StatusOr<std::string> bytes =
          read_at(fd.get(), offset, static_cast<std::size_t>(reference.size()), upload.file);
      if (!bytes.ok()) {
        context.TryCancel();
        writer->Finish();
        return bytes.status();
      }
      v1::Chunk chunk;
      chunk.set_sha256(reference.sha256());
      chunk.set_data(*std::move(bytes));
      if (!writer->Write(chunk)) break;
    }
    offset += static_cast<std::uint64_t>(reference.size());
  }
  writer->WritesDone();
  return to_status(writer->Finish(), "sending chunks");
}

}  // namespace lctl::agent
