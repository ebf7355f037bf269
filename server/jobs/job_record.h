// One job as the state machine holds it: what the store keeps, and what lives only in memory.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "proto/lctl/v1/event.pb.h"
#include "proto/lctl/v1/job.pb.h"
#include "server/jobs/failure.h"
#include "server/jobs/growth.h"
#include "server/jobs/launcher.h"

namespace lctl::jobs {

// An attempt's verdict: v1.Attempt.outcome's spellings. While the ranks of an attempt are still
// being stopped the verdict stands already and finished_us is 0.
namespace outcome {
inline constexpr std::string_view kNone = "";
inline constexpr std::string_view kSucceeded = "succeeded";
inline constexpr std::string_view kFailed = "failed";
inline constexpr std::string_view kStopped = "stopped";
inline constexpr std::string_view kLost = "lost";
inline constexpr std::string_view kPreempted = "preempted";
inline constexpr std::string_view kRolledBack = "rolled back";
}  // namespace outcome

// Exit codes of a rank that mean something (docs/formats/launch.md).
inline constexpr int kExitBadSpec = 2;
inline constexpr int kExitStopped = 75;

struct Moment {
  WallTime wall;
  MonotonicTime monotonic;
};

// Thread rule: caller locks.
struct JobRecord {
  // --- in the store ---
  std::shared_ptr<const v1::JobSpec> spec;
  v1::Job job;          // without spec, ranks and progress
  v1::Attempt attempt;  // the current or last one, with its ranks; number 0 = none yet

  // --- live only; restore() makes them anew ---
  v1::Progress progress;
  std::set<NodeId> launched;           // nodes of the attempt that were sent their Launch
  std::vector<std::string> addresses;  // of the attempt's nodes, by node rank; empty when restored
  std::int64_t resume_checkpoint_size = 0;
  int rendezvous_port = 0;  // 0 = rank 0's node has not answered yet
  // The server restarted during this attempt: which nodes were launched is no longer known.
  bool restored = false;
  // Set when the gang was told to stop; repeated to nodes that come back.
  std::optional<Duration> stop_grace;
  int attempts_without_progress = 0;  // ended ones in a row that left no newer checkpoint
  MonotonicTime not_before{};         // back-off: not placed earlier
  std::optional<Failure> failure;     // the last one, until the job is resumed
  std::set<NodeId> avoided;           // nodes that the next placement does without if it can
  std::int64_t reached_step = 0;      // of this attempt, as far as its rank 0 has told
  // While a rank of the attempt shows no sign of life: what each rank's node has said last, and
  // until when the others may still say it.
  std::map<int, RankStall> stalls;
  std::optional<MonotonicTime> hang_due;
  std::string waiting;             // why it is not placed, while QUEUED
  GrowthState growth;              // of this attempt, when the job is elastic
  std::string checkpoint_refusal;  // why its checkpoints wait on their nodes; "" = they do not
  // A checkpoint that arrived damaged at a node and that the store is reading; the attempt is not
  // over before it has been read.
  std::string verifying;
  std::set<std::string> passed_over;  // checkpoints that arrived damaged, until ranks run again
  bool unreadable = false;            // the last attempt could not read its checkpoint
  MonotonicTime drilled_until{};      // ends of an attempt that is drilled (drill.h) are its effect
  int damaged_attempt = 0;            // a drill: what this attempt downloads arrives damaged
  // After a roll-back, until the next attempt is placed: it goes on from before this step.
  std::optional<std::int64_t> roll_back_before;
  int roll_backs = 0;                        // since it was submitted or resumed
  std::vector<v1::BatchPlace> skip_batches;  // what attempts were rolled back for

  JobId id() const { return JobId{job.id()}; }
  AttemptId attempt_id() const { return {id(), attempt.number()}; }
};

// STARTING, RUNNING or STOPPING: an attempt holds devices.
bool is_active(v1::JobState state);
bool is_final(v1::JobState state);

// The attempt is asked to make room: it goes on elsewhere, and nothing counts against the job.
bool is_preempted(const JobRecord& record);

// How long a gang that makes room has for its checkpoint: the job's own grace, 300 s at least.
Duration preemption_grace(const v1::JobSpec& spec);

// Leaves a node out of all later placements of the job. The first reason stands.
void exclude_node(v1::Job& job, const NodeId& node, std::string name, std::string reason);

// The attempt's verdict stands or the job is STOPPING: its ranks are on their way out.
bool is_ending(const JobRecord& record);

// A rank in this state occupies its device.
bool holds_device(v1::RankState state);

// Nothing more will come from a rank in this state.
bool is_over(v1::RankState state);

// The nodes of the attempt, by node rank.
std::vector<NodeId> nodes_of(const v1::Attempt& attempt);

// "QUEUED", "RUNNING", …
std::string_view name_of(v1::JobState state);

// "exited with code 1", "was killed by SIGKILL (signal 9)". For exit codes of 128 + signal.
std::string describe_exit(int exit_code);

// How long to wait before the next attempt when the last `attempts_without_progress` left no newer
// checkpoint: nothing for the first, then 1 s doubling to 60 s.
Duration back_off(int attempts_without_progress);

// A job as the store has it, after a server start. `attempts` are all of the job, oldest first;
// `newest_checkpoint` is its newest one or "".
JobRecord restore(v1::Job stored, std::span<const v1::Attempt> attempts,
                  std::string_view newest_checkpoint, Moment now);

}  // namespace lctl::jobs
