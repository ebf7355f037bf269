// gRPC's Ingest: streams of batches from nodes, acknowledged when they are durable.
#pragma once

#include "proto/lctl/v1/ingest.grpc.pb.h"
#include "server/ingest/intake.h"
#include "server/services/open_calls.h"

namespace lctl::services {

// One stream has two threads: gRPC's own reads into a bounded queue, another applies everything
// that has gathered there in one transaction and acknowledges it in order. So the disk's sync is
// paid once for many batches, and reading never waits for it.
//
// The server that carries it must accept messages of kMaxIngestMessageBytes.
// Thread rule: internally locked.
class IngestService final : public v1::Ingest::Service {
 public:
  // `intake` must outlive it.
  explicit IngestService(ingest::Intake& intake) : intake_(intake) {}

  // Ends all streams. What they had read and not acknowledged is sent again to the next server.
  void shutdown() { calls_.shutdown(); }

  grpc::Status Stream(grpc::ServerContext* context,
                      grpc::ServerReaderWriter<v1::IngestAck, v1::IngestBatch>* stream) override;

 private:
  ingest::Intake& intake_;
  OpenCalls calls_;
};

// A batch of 4 MiB and its framing.
inline constexpr int kMaxIngestMessageBytes = 8 << 20;

}  // namespace lctl::services
