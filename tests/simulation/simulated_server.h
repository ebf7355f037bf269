// The server: its real jobs engine, node table, intake and store, wired as server/server.cc does,
// with simulated streams and time in place of gRPC and threads.
//
// It may crash between any two steps that others can see (crashing_store.h); all that is not
// committed is gone then.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/lctl/v1/ingest.pb.h"
#include "proto/lctl/v1/session.pb.h"
#include "server/ingest/intake.h"
#include "server/jobs/engine.h"
#include "server/jobs/job_feed.h"
#include "server/nodes/node_table.h"
#include "storage/blobs/checkpoint_store.h"
#include "storage/store.h"
#include "tests/simulation/bug.h"
#include "tests/simulation/crashing_store.h"
#include "tests/simulation/transport.h"

namespace lctl::simulation {

// Thread rule: caller locks.
class SimulatedServer {
 public:
  struct Options {
    EventQueue& queue;
    Random& random;
    Trace& trace;
    Transport& transport;
    Invariants& invariants;
    std::filesystem::path folder;  // of the store
    Bug bug = Bug::kNone;
    std::function<void()> on_crash;  // somebody has to start it again
  };
  explicit SimulatedServer(Options options);
  ~SimulatedServer();

  // --- life ---

  void start();
  void crash();
  // At the so-manieth step from now that others can see.
  void crash_after(int steps) { crash_.after(steps); }
  bool is_up() const { return parts_ != nullptr; }
  // While it is up.
  storage::Store& store();
  // Whether a gang ever made room for another.
  bool has_preempted() const;
  // While it is up: each of the jobs has ended, or waits for what does not come by itself.
  bool all_at_rest(const std::vector<JobId>& jobs) const;

  // --- from nodes ---

  void session_message(const StreamPtr& stream, const v1::AgentMessage& message);
  void ingest_batch(const StreamPtr& stream, const v1::IngestBatch& batch);
  void stream_ended(const StreamPtr& stream);
  absl::StatusOr<std::vector<std::string>> find_missing(const std::vector<std::string>& hashes);
  absl::StatusOr<bool> put(const std::string& hash, const std::string& bytes);
  absl::StatusOr<CheckpointId> commit(const storage::Manifest& manifest);
  absl::StatusOr<std::string> download(const CheckpointId& id);

  // The answer to a call leaves it.
  bool may_answer() { return crash_.pass(); }

  // --- from people ---

  absl::StatusOr<JobId> submit(const v1::JobSpec& spec, const std::string& key);
  absl::Status stop(const JobId& id, std::optional<Duration> grace);
  absl::Status resume(const JobId& id);
  absl::Status drain(const std::string& node, std::optional<Duration> grace);
  absl::Status undrain(const std::string& node);
  std::vector<std::string> drained() const;  // their ids

 private:
  class SessionEnd;
  class Progress;
  struct Parts;

  // Everything that comes in goes through here: `work`, then what the strand does after a call.
  template <typename Result>
  Result serve(const std::function<Result()>& work);
  void finish_step();
  void settle_soon(Duration delay);
  void settle();
  void apply_batches(const StreamPtr& stream);
  void acknowledge(const StreamPtr& stream, const v1::IngestBatch& batch,
                   const ingest::Outcome& outcome);

  const Options options_;
  CrashPoint crash_;
  std::unique_ptr<Parts> parts_;
  std::uint64_t life_ = 0;
  bool preempted_ = false;
};

}  // namespace lctl::simulation
