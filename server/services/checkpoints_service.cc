#include "server/services/checkpoints_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/services/chunk_groups.h"
#include "server/services/status.h"

namespace lctl::services {
namespace {

constexpr int kMaxHashes = 65'536;
// Below gRPC's default limit of 4 MiB a message, so that any client can receive it.
constexpr std::size_t kDownloadPieceBytes = 1 << 20;
constexpr std::int64_t kReadBytes = storage::kMaxChunkBytes;
constexpr std::size_t kGroupBytes = 16 << 20;

storage::Manifest manifest_of(const v1::CommitCheckpointRequest& request) {
  storage::Manifest manifest{.attempt = {JobId(request.job_id()), request.attempt()},
                             .rank = request.rank(),
                             .written = request.written(),
                             .time_us = request.time_us(),
                             .chunks = {},
                             .sha256 = request.sha256()};
  manifest.chunks.reserve(static_cast<std::size_t>(request.chunks_size()));
  for (const v1::ChunkRef& chunk : request.chunks()) {
    manifest.chunks.push_back({chunk.sha256(), chunk.size()});
  }
  return manifest;
}

v1::Checkpoint message_of_row(storage::CheckpointRow row) {
  v1::Checkpoint message;
  message.set_id(row.id.str());
  message.set_job_id(row.attempt.job.str());
  message.set_attempt(row.attempt.number);
  *message.mutable_written() = std::move(row.written);
  message.set_time_us(row.time_us);
  message.set_sha256(row.sha256);
  message.set_stored_bytes(row.stored_bytes);
  message.set_damage(std::move(row.damage));
  return message;
}

// Sends `bytes` of the file from `offset` on in pieces. False when the client is gone.
bool send(grpc::ServerWriter<v1::DownloadChunk>& writer, std::int64_t offset,
          std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kDownloadPieceBytes);
    v1::DownloadChunk message;
    message.set_offset(offset);
    message.set_data(piece.data(), piece.size());
    if (!writer.Write(message)) return false;
    bytes.remove_prefix(piece.size());
    offset += static_cast<std::int64_t>(piece.size());
  }
  return true;
}

}  // namespace

grpc::Status CheckpointsService::FindMissing(grpc::ServerContext*,
                                             const v1::FindMissingRequest* request,
                                             v1::FindMissingResponse* response) {
  if (request->sha256_size() > kMaxHashes) {
    return {grpc::StatusCode::INVALID_ARGUMENT,
            fmt::format("{} hashes in one request; at most {} are allowed", request->sha256_size(),
                        kMaxHashes)};
  }
  const std::vector<std::string> hashes(request->sha256().begin(), request->sha256().end());
  LCTL_GRPC_ASSIGN_OR_RETURN(std::vector<std::string> missing, checkpoints_.missing(hashes));
  for (std::string& hash : missing) response->add_sha256(std::move(hash));
  return grpc::Status::OK;
}

grpc::Status CheckpointsService::PutChunks(grpc::ServerContext* context,
                                           grpc::ServerReader<v1::Chunk>* reader,
                                           v1::PutChunksResponse* response) {
  const OpenCall call(calls_, *context);
  // All transfers together hold about two groups, and one chunk or two each.
  ChunkGroups groups(checkpoints_, kGroupBytes / calls_.count());
  for (v1::Chunk chunk; reader->Read(&chunk);) {
    LCTL_GRPC_RETURN_IF_ERROR(groups.add(std::move(chunk)));
  }
  LCTL_GRPC_ASSIGN_OR_RETURN(const std::int64_t stored, groups.finish());
  if (call.cancelled()) return {grpc::StatusCode::CANCELLED, "the upload was ended"};
  response->set_stored(stored);
  return grpc::Status::OK;
}

grpc::Status CheckpointsService::Commit(grpc::ServerContext*,
                                        const v1::CommitCheckpointRequest* request,
                                        v1::CommitCheckpointResponse* response) {
  const absl::StatusOr<CheckpointId> id = checkpoints_.commit(manifest_of(*request));
  const bool refused = absl::IsResourceExhausted(id.status());
  if (on_refused_ && (refused || id.ok())) {
    on_refused_(JobId(request->job_id()), refused ? std::string(message_of(id.status())) : "");
  }
  LCTL_GRPC_RETURN_IF_ERROR(id.status());
  response->set_checkpoint_id(id->str());
  return grpc::Status::OK;
}

grpc::Status CheckpointsService::List(grpc::ServerContext*,
                                      const v1::ListCheckpointsRequest* request,
                                      v1::ListCheckpointsResponse* response) {
  LCTL_GRPC_ASSIGN_OR_RETURN(const JobId job, jobs_.resolve(request->job_id()));
  LCTL_GRPC_ASSIGN_OR_RETURN(std::vector<storage::CheckpointRow> rows, checkpoints_.list(job));
  for (storage::CheckpointRow& row : rows) {
    *response->add_checkpoints() = message_of_row(std::move(row));
  }
  return grpc::Status::OK;
}

// A chunk is damaged: now rather than when it is needed again all of it is looked at, so that
// nothing goes on from it and the next upload of these bytes mends the store.
grpc::Status CheckpointsService::damaged(const storage::CheckpointRow& row,
                                         const absl::Status& why) {
  const absl::StatusOr<std::string> found = checkpoints_.verify(row.id);
  if (!found.ok() || found->empty()) return to_grpc(why);
  return {grpc::StatusCode::DATA_LOSS, fmt::format("checkpoint {} ({}) is damaged in the store: {}",
                                                   row.id.str(), row.written.name(), *found)};
}

grpc::Status CheckpointsService::Download(grpc::ServerContext* context,
                                          const v1::DownloadRequest* request,
                                          grpc::ServerWriter<v1::DownloadChunk>* writer) {
  const OpenCall call(calls_, *context);
  const CheckpointId id(request->checkpoint_id());
  LCTL_GRPC_ASSIGN_OR_RETURN(const storage::CheckpointRow row, checkpoints_.get(id));
  std::int64_t offset = request->offset();
  if (offset < 0 || offset > row.written.size()) {
    return {grpc::StatusCode::OUT_OF_RANGE,
            fmt::format("checkpoint {} has {} bytes; a download cannot begin at byte {}", id.str(),
                        row.written.size(), offset)};
  }
  // The first message carries no bytes: it is there also when none are left to send.
  v1::DownloadChunk first;
  first.set_offset(offset);
  first.set_sha256(row.sha256);
  first.set_total_size(row.written.size());
  bool open = writer->Write(first);
  while (open && offset < row.written.size() && !call.cancelled()) {
    const absl::StatusOr<std::string> bytes = checkpoints_.read(id, offset, kReadBytes);
    if (absl::IsDataLoss(bytes.status())) return damaged(row, bytes.status());
    LCTL_GRPC_RETURN_IF_ERROR(bytes.status());
    open = send(*writer, offset, *bytes);
    offset += static_cast<std::int64_t>(bytes->size());
  }
  if (!open || call.cancelled()) return {grpc::StatusCode::CANCELLED, "the download was ended"};
  return grpc::Status::OK;
}

}  // namespace lctl::services
