// gRPC's Checkpoints: chunked upload, commit, list and download.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "base/id.h"
#include "proto/lctl/v1/checkpoint.grpc.pb.h"
#include "server/services/open_calls.h"
#include "storage/blobs/checkpoint_store.h"
#include "storage/jobs/job_store.h"

namespace lctl::services {

// Translates between messages and the store; decides nothing. Commit reads the whole checkpoint to
// check its hash, in the thread of its call; so does a Download that meets a damaged chunk, to mark
// all checkpoints that it concerns.
//
// The server that carries it must accept messages of kMaxChunkMessageBytes.
// Thread rule: internally locked.
class CheckpointsService final : public v1::Checkpoints::Service {
 public:
  // Told, from any thread, why a checkpoint of the job is refused for want of space; "" = one was
  // committed.
  using OnRefused = std::function<void(const JobId& job, std::string why)>;

  // Both must outlive it, and so must what `on_refused` uses.
  CheckpointsService(storage::CheckpointStore& checkpoints, const storage::JobStore& jobs,
                     OnRefused on_refused = {})
      : checkpoints_(checkpoints), jobs_(jobs), on_refused_(std::move(on_refused)) {}

  // Ends all transfers; they can be taken up again where they were.
  void shutdown() { calls_.shutdown(); }

  grpc::Status FindMissing(grpc::ServerContext* context, const v1::FindMissingRequest* request,
                           v1::FindMissingResponse* response) override;
  grpc::Status PutChunks(grpc::ServerContext* context, grpc::ServerReader<v1::Chunk>* reader,
                         v1::PutChunksResponse* response) override;
  grpc::Status Commit(grpc::ServerContext* context, const v1::CommitCheckpointRequest* request,
                      v1::CommitCheckpointResponse* response) override;
  grpc::Status List(grpc::ServerContext* context, const v1::ListCheckpointsRequest* request,
                    v1::ListCheckpointsResponse* response) override;
  grpc::Status Download(grpc::ServerContext* context, const v1::DownloadRequest* request,
                        grpc::ServerWriter<v1::DownloadChunk>* writer) override;

 private:
  grpc::Status damaged(const storage::CheckpointRow& row, const absl::Status& why);

  storage::CheckpointStore& checkpoints_;
  const storage::JobStore& jobs_;
  const OnRefused on_refused_;
  OpenCalls calls_;
};

// A chunk of 4 MiB and its framing; also a request of 65,536 hashes.
inline constexpr int kMaxChunkMessageBytes = 8 << 20;

}  // namespace lctl::services
