// Sends what ranks write to the server, until it is acknowledged.
#pragma once

#include <grpcpp/channel.h>

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/id.h"
#include "proto/lctl/v1/ingest.grpc.pb.h"
#include "worker/agent/agent_view.h"
#include "worker/agent/cancellation.h"
#include "worker/agent/file_watch.h"
#include "worker/agent/rank_tail.h"

namespace grpc {
class ClientContext;
}

namespace lctl::agent {

// One Ingest stream for all ranks of the node; several batches per rank are on their way at once.
// The kernel tells when a rank has written something (every second all files are looked at in any
// case, or every 100 ms where it cannot tell); an idle node costs next to nothing. Callbacks come
// on threads of the forwarder, some under its lock: post from them. Thread rule: internally locked.
class Forwarder {
 public:
  struct Callbacks {
    std::function<void(const AttemptId&, int rank, const v1::CheckpointWritten&,
                       std::int64_t time_us)>
        on_checkpoint;
    std::function<void(const AttemptId&, int rank)>
        on_forwarded;  // all of an ended rank is acknowledged
    std::function<void(const AttemptId&)> on_fenced;
    // A log policy of the job has found its first line in the rank's output.
    std::function<void(const AttemptId&, int rank, int policy, const std::string& line)>
        on_log_match;
  };

  Forwarder(std::shared_ptr<grpc::Channel> channel, Callbacks callbacks,
            std::shared_ptr<Cancellation> partition = std::make_shared<Cancellation>());
  ~Forwarder();

  // Starts with a rank's files (which may not exist yet).
  void add(const AttemptId& attempt, int rank, const RunFolder& folder, const v1::JobSpec& spec);
  void process_ended(const AttemptId& attempt, int rank);
  void remove(const AttemptId& attempt);

  // Asks the kernel for the size of every rank's files.
  ForwarderView view();

 private:
  using Key = std::pair<AttemptId, int>;
  struct Entry {
    Entry(RankTail rank_tail, std::filesystem::path rank_folder)
        : tail(std::move(rank_tail)), folder(std::move(rank_folder)) {}
    RankTail tail;
    std::filesystem::path folder;
    MonotonicTime not_before{};  // after a RETRY or a failed read
    Duration pause{0};           // the last such pause; 0 after a success
    std::string last_error;      // said already
    bool told = false;           // on_forwarded was called
  };
  using Stream = grpc::ClientReaderWriter<v1::IngestBatch, v1::IngestAck>;

  void run();
  bool stopping();
  void run_stream();
  void read_acks(Stream& stream);
  bool send_all(Stream& stream);
  std::optional<v1::IngestBatch> next_batch(const Key& key, v1::StreamKind kind);
  void hold_back(Entry& entry);
  Duration idle_pause(MonotonicTime now) const;
  void wake_up();
  void tell_forwarded();

  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::Ingest::Stub> stub_;
  const Callbacks callbacks_;
  const std::shared_ptr<Cancellation> partition_;

  std::mutex mutex_;
  // State below is protected by mutex_.
  std::condition_variable changed_;
  std::map<Key, std::unique_ptr<Entry>> entries_;
  grpc::ClientContext* context_ = nullptr;
  bool changes_ = false;    // there may be something to send
  bool unwatched_ = false;  // some folder is not watched
  bool stream_over_ = false;
  bool stopping_ = false;
  std::uint64_t forwarded_bytes_ = 0;
  std::uint64_t failures_ = 0;

  FileWatch watch_;
  std::thread thread_;
};

}  // namespace lctl::agent
