// A machine with its node daemon, after the contracts of session.proto, ingest.proto and
// checkpoint.proto: it launches, reports, forwards what ranks write and forgets what is
// acknowledged, uploads checkpoints, and says what it runs whenever it connects. It follows
// worker/agent step by step where a fault can come between two steps.
//
// The agent may crash and start again while ranks go on; the machine may go down with all of it.
// What is on disk stays.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/id.h"
#include "proto/lctl/v1/session.pb.h"
#include "storage/blobs/checkpoint_store.h"
#include "tests/simulation/bug.h"
#include "tests/simulation/simulated_rank.h"
#include "tests/simulation/transport.h"

namespace lctl::simulation {

// Thread rule: caller locks.
class SimulatedNode {
 public:
  struct Options {
    EventQueue& queue;
    Random& random;
    Trace& trace;
    Transport& transport;
    Invariants& invariants;
    Rendezvous& rendezvous;
    std::size_t number = 0;
    std::string name;
    int devices = 1;
    Bug bug = Bug::kNone;
    // The end of what a new rank does, drawn when it starts.
    std::function<Fate(std::int64_t steps)> draw_fate;
  };
  explicit SimulatedNode(Options options);

  const NodeId& id() const { return id_; }

  // --- faults ---

  void start_agent();
  void crash_agent();
  void power_off();  // start_agent() afterwards finds another boot id
  bool agent_is_up() const { return up_; }
  void fail_launches(bool fail) { fails_launches_ = fail; }
  void kill_some_rank();
  // A line of some rank's output fits that log policy of its job.
  void match_some_rank(int policy);
  // No attempt is left here, not even an ended one.
  bool is_idle() const { return disk_.empty(); }

  // --- from the transport ---

  void stream_ended(const StreamPtr& stream);
  void session_message(const StreamPtr& stream, const v1::ServerMessage& message);
  void ingest_ack(const StreamPtr& stream, const v1::IngestAck& ack);

 private:
  // The run folder of an attempt.
  struct Folder {
    v1::Launch launch;
    int boot = 0;
    int rendezvous_port = 0;
    std::map<int, RankFolder> ranks;
    std::map<int, std::shared_ptr<SimulatedRank>> processes;  // of the machine, not of the agent
  };
  // What the agent holds in memory.
  struct Rank {
    v1::RankReport report;
    std::uint64_t sent_events = 0;
    std::uint64_t sent_output = 0;
    std::uint64_t announced = 0;
    bool ended = false;  // as the forwarder knows
    bool forwarded = false;
    int uploads = 0;
    MonotonicTime not_before{};  // after a RETRY
  };
  struct Attempt {
    bool launching = false;
    bool cancelled = false;
    bool forgotten = false;
    std::optional<Duration> stop;  // that came during the launch
    std::map<int, Rank> ranks;
  };
  struct Upload {
    AttemptId attempt;
    int rank = 0;
    v1::CheckpointWritten written;
  };

  // Runs `work` after `delay` unless the agent has ended by then.
  void later(Duration delay, std::function<void()> work);

  void connect();
  void reconnect_later();
  void beat(const StreamPtr& stream);
  void send(v1::AgentMessage message, const std::string& what);
  v1::AgentMessage registration() const;
  void report(const Rank& rank);
  void report_all();

  void adopt_all();
  void on_launch(const v1::Launch& launch);
  void report_rendezvous(const AttemptId& id);
  void prepare(const AttemptId& id);
  void download(const AttemptId& id, int tries);
  void start_ranks(const AttemptId& id, std::int64_t first_step);
  void fail_launch(const AttemptId& id, const std::string& why);
  void on_stop(const AttemptId& id, Duration grace);
  void on_forget(const AttemptId& id);
  void on_process_end(const AttemptId& id, int rank);
  void set_exited(const AttemptId& id, int rank, int code, bool lost_with_reboot);
  void settle(const AttemptId& id, int rank);
  void remove_if_over(const AttemptId& id);
  void kill_all(const AttemptId& id);

  void open_ingest();
  void pump_soon(Duration delay);
  void pump();
  void send_events(const AttemptId& id, int number, RankFolder& folder, Rank& rank);
  void send_output(const AttemptId& id, int number, RankFolder& folder, Rank& rank);
  void announce_acknowledged(const AttemptId& id, int number);
  void rewind(const RankFolder& folder, Rank& rank);

  void upload_soon(Duration delay);
  void upload_next();
  void send_chunks(const Upload& upload, const storage::Manifest& manifest,
                   std::vector<std::string> missing);
  void upload_done(const Upload& upload, const absl::Status& status);

  Rank* find(const AttemptId& id, int rank);

  const Options options_;
  const NodeId id_;
  std::map<AttemptId, Folder> disk_;
  int boot_ = 1;
  bool fails_launches_ = false;

  // The agent's.
  bool up_ = false;
  std::uint64_t life_ = 0;
  std::map<AttemptId, Attempt> attempts_;
  StreamPtr session_, ingest_;
  bool registered_ = false;
  int failures_ = 0;  // to connect, in a row
  bool pump_is_due_ = false;
  std::vector<Upload> uploads_;
  bool uploading_ = false;
};

}  // namespace lctl::simulation
