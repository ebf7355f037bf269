// Sends what ranks write to the server, until it is acknowledged.
#pragma once

#include <grpcpp/channel.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/id.h"
#include "proto/lctl/v1/ingest.grpc.pb.h"
#include "worker/agent/rank_tail.h"

namespace grpc {
class ClientContext;
}

namespace lctl::agent {

// One Ingest stream for all ranks of the node. New data is looked for every 20 ms while it flows, down
// to every 100 ms when nothing does; several batches per rank are on their way at once.
// Callbacks come on the forwarder's threads, without its lock: post from them.
// Thread rule: internally locked.
class Forwarder {
 public:
  struct Callbacks {
    std::function<void(const AttemptId&, int rank, const v1::CheckpointWritten&, std::int64_t time_us)>
        on_checkpoint;
    std::function<void(const AttemptId&, int rank)> on_forwarded;  // all of an ended rank is acknowledged
    std::function<void(const AttemptId&)> on_fenced;
  };

  Forwarder(std::shared_ptr<grpc::Channel> channel, Callbacks callbacks);
  ~Forwarder();

  // Starts with a rank's files (which may not exist yet).
  void add(const AttemptId& attempt, int rank, const RunFolder& folder);
  void process_ended(const AttemptId& attempt, int rank);
  void remove(const AttemptId& attempt);

 private:
  using Key = std::pair<AttemptId, int>;
  struct Entry {
    explicit Entry(RankTail rank_tail) : tail(std::move(rank_tail)) {}
    RankTail tail;
    MonotonicTime not_before{};  // after a RETRY
    bool told = false;           // on_forwarded was called
  };
  using Stream = grpc::ClientReaderWriter<v1::IngestBatch, v1::IngestAck>;

  void run();
  void run_stream();
  void read_acks(Stream& stream);
  bool send_all(Stream& stream, bool* sent);
  void tell_forwarded();

  const std::unique_ptr<v1::Ingest::Stub> stub_;
  const Callbacks callbacks_;

  std::mutex mutex_;
  // State below is protected by mutex_.
  std::condition_variable changed_;
  std::map<Key, std::unique_ptr<Entry>> entries_;
  grpc::ClientContext* context_ = nullptr;
  bool stream_over_ = false;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace lctl::agent
