#include "server/jobs/job_record.h"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>

#include <algorithm>
#include <utility>

#include "server/jobs/roll_back.h"

namespace lctl::jobs {
namespace {

using std::chrono::seconds;

constexpr Duration kRestoredDrill = seconds(60);

bool counts_for_back_off(const v1::Attempt& attempt) {
  return attempt.outcome() == outcome::kFailed || attempt.outcome() == outcome::kPreempted ||
         attempt.outcome() == outcome::kRolledBack;
}

// Attempts that were lost or made room neither count nor break a row: they say nothing about the
// job.
int row_without_progress(std::span<const v1::Attempt> attempts,
                         std::string_view newest_checkpoint) {
  int row = 0;
  std::string_view reached = newest_checkpoint;
  for (auto it = attempts.rbegin(); it != attempts.rend(); ++it) {
    if (it->finished_us() == 0 || it->outcome() == outcome::kLost ||
        it->cause() == v1::END_CAUSE_PREEMPTED) {
      continue;
    }
    if (!counts_for_back_off(*it) || it->resumed_from_checkpoint() != reached) break;
    ++row;
  }
  return row;
}

}  // namespace

bool is_active(v1::JobState state) {
  return state == v1::JOB_STATE_STARTING || state == v1::JOB_STATE_RUNNING ||
         state == v1::JOB_STATE_STOPPING;
}

bool is_final(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_STOPPED;
}

bool is_ending(const JobRecord& record) {
  return record.job.state() == v1::JOB_STATE_STOPPING || !record.attempt.outcome().empty();
}

bool is_preempted(const JobRecord& record) {
  return record.attempt.cause() == v1::END_CAUSE_PREEMPTED;
}

Duration preemption_grace(const v1::JobSpec& spec) {
  return std::max<Duration>(std::chrono::milliseconds(spec.grace_ms()), seconds(300));
}

void exclude_node(v1::Job& job, const NodeId& node, std::string name, std::string reason) {
  for (const v1::ExcludedNode& known : job.excluded_nodes()) {
    if (known.node_id() == node.str()) return;
  }
  v1::ExcludedNode& added = *job.add_excluded_nodes();
  added.set_node_id(node.str());
  added.set_node_name(std::move(name));
  added.set_reason(std::move(reason));
}

bool holds_device(v1::RankState state) {
  return state == v1::RANK_STATE_LAUNCHING || state == v1::RANK_STATE_RUNNING;
}

bool is_over(v1::RankState state) {
  return state == v1::RANK_STATE_DRAINED || state == v1::RANK_STATE_LOST;
}

std::vector<NodeId> nodes_of(const v1::Attempt& attempt) {
  std::vector<NodeId> nodes;
  for (const v1::RankStatus& rank : attempt.ranks()) {
    if (rank.local_rank() == 0) nodes.emplace_back(rank.node_id());
  }
  return nodes;
}

std::string_view name_of(v1::JobState state) {
  std::string_view name = v1::JobState_descriptor()->FindValueByNumber(state) == nullptr
                              ? std::string_view("JOB_STATE_UNSPECIFIED")
                              : std::string_view(v1::JobState_Name(state));
  name.remove_prefix(std::string_view("JOB_STATE_").size());
  return name;
}

std::string describe_exit(int exit_code) {
  if (exit_code == 0) return "exited normally";
  const int signal = exit_code - 128;
  if (const char* name = signal > 0 && signal < NSIG ? sigabbrev_np(signal) : nullptr) {
    return fmt::format("was killed by SIG{} (signal {})", name, signal);
  }
  return fmt::format("exited with code {}", exit_code);
}

Duration back_off(int attempts_without_progress) {
  if (attempts_without_progress < 2) return Duration::zero();
  const int doublings = std::min(attempts_without_progress - 2, 6);
  return std::min<Duration>(seconds(1) * (1 << doublings), seconds(60));
}

JobRecord restore(v1::Job stored, std::span<const v1::Attempt> attempts,
                  std::string_view newest_checkpoint, Moment now) {
  JobRecord record;
  record.spec = std::make_shared<const v1::JobSpec>(std::move(*stored.mutable_spec()));
  record.progress = std::move(*stored.mutable_progress());
  stored.clear_spec();
  stored.clear_progress();
  stored.clear_ranks();
  record.job = std::move(stored);
  if (attempts.empty()) return record;

  record.attempt = attempts.back();
  record.restored = true;
  if (is_active(record.job.state())) {
    for (NodeId& node : nodes_of(record.attempt)) record.launched.insert(std::move(node));
    if (is_ending(record)) {
      record.stop_grace = is_preempted(record)
                              ? preemption_grace(*record.spec)
                              : Duration(std::chrono::milliseconds(record.spec->grace_ms()));
    }
    // What ends a drilled attempt soon is still its effect.
    record.drilled_until = now.monotonic + kRestoredDrill;
    const bool told = record.progress.time_us() >= record.attempt.started_us();
    record.reached_step = told ? record.progress.global_step() : record.attempt.resumed_at_step();
  } else if (!record.attempt.blamed_node().empty()) {
    record.avoided.insert(NodeId{record.attempt.blamed_node()});
  }
  // They are 0 again after a resume, which forgets what was before.
  if (record.job.restarts() > 0) record.failure = newest_failure(attempts);
  record.roll_backs = roll_backs_of(attempts, record.job.restarts());
  if (record.job.restarts() > 0 || record.attempt.outcome() == outcome::kPreempted ||
      record.attempt.outcome() == outcome::kRolledBack) {
    record.attempts_without_progress = row_without_progress(attempts, newest_checkpoint);
    // The pause began when the attempt ended. A clock that was set back must not stretch it.
    const Duration pause = back_off(record.attempts_without_progress);
    const Duration passed = now.wall - from_unix_micros(record.attempt.finished_us());
    record.not_before = now.monotonic + std::clamp(pause - passed, Duration::zero(), pause);
  }
  return record;
}

}  // namespace lctl::jobs
