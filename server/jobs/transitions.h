// The state machine of jobs and attempts: what an event changes, and what has to be done about it.
//
// Pure: `apply` reads and writes its arguments and nothing else (no clock, store, log or network),
// so the same record, event and moment give the same result. The engine commits what changed before
// it carries out a command.
//
//            Placed            all ranks RUNNING            all exited 0 and drained
//   QUEUED ─────────▶ STARTING ─────────────────▶ RUNNING ─────────────────────────▶ SUCCEEDED
//     ▲                  │  StopRequested            │
//     │                  └────────────▶ STOPPING ◀───┘   all ranks drained or lost ─▶ STOPPED
//     │ a rank failed, was interrupted or lost: the gang is stopped (the verdict stands in the
//     │ attempt, the job keeps its state until all ranks are over), then QUEUED, or FAILED when no
//     │ restart is left or trying again is of no use (failure.h). StopRequested while QUEUED:
//     STOPPED │ at once. ResumeRequested: STOPPED or FAILED → QUEUED. └ PreemptRequested: the same
//     way, with time for a checkpoint, and nothing counts.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/event.pb.h"
#include "proto/lctl/v1/job.pb.h"
#include "server/jobs/job_record.h"
#include "server/jobs/launcher.h"

namespace lctl::jobs {

// --- events ---

// The scheduler chose devices for the next attempt.
struct Placed {
  struct Node {
    NodeId id;
    std::string name;
    std::string address;
    std::vector<NodeDevice> devices;  // by local rank
  };
  std::vector<Node> nodes;           // by node rank, each with equally many devices
  std::string resume_checkpoint_id;  // "" = from the beginning
  std::int64_t resume_checkpoint_size = 0;
  std::int64_t resume_step = 0;
};

// The node of rank 0 listens.
struct RendezvousReady {
  NodeId node;
  int port = 0;
};

// A rank of the current attempt has changed. Older news than what is known is ignored.
struct RankReported {
  NodeId node;
  RankReport report;
};

// A node could not start its share of the gang.
struct LaunchFailed {
  NodeId node;
  std::string reason;
  bool permanent = false;
  std::string corrupt_checkpoint = {};  // that arrived damaged; "" = another reason
};

// The store has read a checkpoint that arrived damaged (VerifyCommand).
struct CheckpointVerified {
  std::string checkpoint;
  std::string damage;  // of the store's own copy; "" = it is sound
};

// The node's ranks are gone for good. `why`: "node gpu-3 has not answered for 10 s".
struct NodeLost {
  NodeId node;
  std::string why;
};

// The node has registered again (the same process, or after a server restart) and answers for
// `known` ranks of this attempt only. Their reports follow as RankReported.
struct NodeReturned {
  NodeId node;
  std::string name;
  std::set<int> known;
};

struct StopRequested {
  Duration grace{};
  std::string reason;
};

struct ResumeRequested {};

// The gang has to make room: it writes a checkpoint, ends, and is placed again. `reason`: "node
// gpu-3 is drained: new disk".
struct PreemptRequested {
  Duration grace{};
  std::string reason;
};

// A line of a rank's output fits one of the job's log policies.
struct LogMatched {
  NodeId node;
  int rank = 0;
  int policy = 0;    // index in the spec
  std::string line;  // printable
};

// A rank shows no sign of life, goes on after all, or has written its stacks.
struct RankStalled {
  NodeId node;
  RankStall stall;
};

// JobRecord.hang_due has come.
struct HangDue {};

// A person wants to see it fail (drill.h has checked whether it may).
struct DrillRequested {
  Fault fault{};
  int rank = 0;
  Duration duration{};  // of kHang and kPartition
};

// All ranks are over: what they said, and from where a next attempt would go on (after a roll-back:
// before the step that they named).
struct GangOver {
  std::vector<std::optional<v1::Finished>> finished;  // by rank; may be shorter than the gang
  std::string newest_checkpoint;                      // id; "" = none
};

using Event =
    std::variant<Placed, RendezvousReady, RankReported, LaunchFailed, NodeLost, NodeReturned,
                 StopRequested, ResumeRequested, PreemptRequested, LogMatched, RankStalled, HangDue,
                 CheckpointVerified, DrillRequested, GangOver>;

// --- what follows ---

struct LaunchCommand {
  NodeId node;
  LaunchOrder order;
};
struct StopCommand {
  NodeId node;
  AttemptId attempt;
  Duration grace{};
  std::string reason;
};
struct ForgetCommand {
  NodeId node;
  AttemptId attempt;
};
struct DumpCommand {
  NodeId node;
  AttemptId attempt;
};
// Read the checkpoint in the store; the caller owes a CheckpointVerified.
struct VerifyCommand {
  AttemptId attempt;
  std::string checkpoint;
};
struct FaultCommand {
  NodeId node;
  AttemptId attempt;
  int rank = 0;
  Fault fault{};
  Duration duration{};
};
using Command = std::variant<LaunchCommand, StopCommand, ForgetCommand, DumpCommand, VerifyCommand,
                             FaultCommand>;

struct Effects {
  bool changed = false;                     // the record differs from the store's
  std::vector<v1::Transition> transitions;  // in order
  std::vector<Command> commands;            // to carry out, in order, once the change is durable
  // Every rank is over: the caller owes a GangOver event.
  bool gang_over = false;
  // The caller owes the job these tags.
  std::map<std::string, std::string> tags;
};

// Applies the event to the record. An event that does not fit the state (a late report, a repeated
// answer) changes nothing. StopRequested and ResumeRequested are checked by `refusal` first.
Effects apply(JobRecord& record, const Event& event, Moment now);

// Why a person's request cannot be granted in the record's state; OK when it can, or when there is
// nothing left to do (stopping a stopped job).
absl::Status stop_refusal(const JobRecord& record);
absl::Status resume_refusal(const JobRecord& record);

// A submitted job: QUEUED, with its first transition.
struct NewJob {
  JobRecord record;
  v1::Transition transition;
};
NewJob make_job(v1::JobSpec spec, const JobId& id, std::string submitted_by, Moment now);

}  // namespace lctl::jobs
