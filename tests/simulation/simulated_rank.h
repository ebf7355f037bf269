// A rank as its node sees it: a process that trains, appends to its spool and its output, puts
// checkpoints into its stage folder, obeys signals, and leaves an exit status with its keeper. It
// knows nothing of agent and server (docs/formats/launch.md, docs/formats/spool.md).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "proto/lctl/v1/event.pb.h"
#include "proto/lctl/v1/ingest.pb.h"
#include "tests/simulation/event_queue.h"
#include "tests/simulation/invariants.h"
#include "tests/simulation/random.h"
#include "tests/simulation/trace.h"

namespace lctl::simulation {

inline constexpr std::uint64_t kSpoolHeader = 8;  // bytes before the first record

struct StagedCheckpoint {
  v1::CheckpointWritten written;
  std::string content;
};

// What survives every process: the rank's folder.
struct RankFolder {
  std::vector<v1::SpooledEvent> spool;
  std::string output;
  std::map<std::string, StagedCheckpoint> stage;  // by file
  bool started = false;
  std::optional<int> exit;  // written by the keeper
  std::uint64_t acknowledged_events = 0;
  std::uint64_t acknowledged_output = 0;
  std::map<int, std::string> matches;  // of log policies

  std::uint64_t spool_end() const {
    return spool.empty() ? kSpoolHeader : spool.back().end_offset();
  }
};

// The ranks of an attempt find each other here, and notice when one of them is gone. Thread rule:
// caller locks.
class Rendezvous {
 public:
  void arrive(const AttemptId& attempt) { ++gangs_[attempt].arrived; }
  void break_up(const AttemptId& attempt) { gangs_[attempt].broken = true; }
  bool complete(const AttemptId& attempt, int world) { return gangs_[attempt].arrived >= world; }
  bool broken(const AttemptId& attempt) { return gangs_[attempt].broken; }

 private:
  struct Gang {
    int arrived = 0;
    bool broken = false;
  };
  std::map<AttemptId, Gang> gangs_;
};

// How it is going to end when nobody interferes.
struct Fate {
  int exit_code = 0;
  std::int64_t at_step = -1;  // -1 = when it has trained all steps
  bool hangs_on_stop = false;
  bool hangs_when_broken = false;
};

// Thread rule: caller locks.
class SimulatedRank : public std::enable_shared_from_this<SimulatedRank> {
 public:
  struct Options {
    EventQueue& queue;
    Random& random;
    Trace& trace;
    Invariants& invariants;
    Rendezvous& rendezvous;
    RankFolder& folder;
    AttemptId attempt;
    int rank = 0;
    int world = 1;
    std::int64_t first_step = 0;  // restored from a checkpoint
    std::int64_t steps = 0;
    Fate fate;
    std::function<void()> on_output;  // it has written something
    std::function<void()> on_end;     // the keeper has written its exit status
  };
  explicit SimulatedRank(Options options)
      : options_(std::move(options)), step_(options_.first_step) {}

  void start();
  void terminate();  // SIGTERM
  void kill();       // SIGKILL
  void power_off();  // with its machine: nobody writes an exit status
  bool running() const { return running_; }

  // The content of a checkpoint says where it stands.
  static std::string content_of(const AttemptId& attempt, std::int64_t step);
  static std::int64_t step_of(const std::string& content);

 private:
  void work();
  void train();
  void end(int code, bool with_last_words);
  void append(v1::Event event);
  void print(const std::string& line);
  void save_checkpoint(v1::CheckpointKind kind);
  void later(Duration delay, void (SimulatedRank::*step)());

  const Options options_;
  std::int64_t step_;
  bool running_ = false;
  bool stopping_ = false;
};

}  // namespace lctl::simulation
