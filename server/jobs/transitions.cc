#include "server/jobs/transitions.h"

#include <algorithm>
#include <utility>

#include "server/jobs/drill.h"
#include "server/jobs/roll_back.h"
#include "server/jobs/step.h"

namespace lctl::jobs {

void Step::on(const StopRequested& event) {
  const v1::JobState state = record_.job.state();
  if (state == v1::JOB_STATE_QUEUED) {
    enter(v1::JOB_STATE_STOPPED, event.reason);
    return;
  }
  if (!active()) return;
  if (state == v1::JOB_STATE_STOPPING) {
    // A second, more urgent request.
    if (event.grace < record_.stop_grace.value_or(Duration::max())) {
      stop_gang(event.grace, event.reason);
    }
    return;
  }
  // A gang that makes room has the time to write its checkpoint; a broken one has not.
  const bool was_ending = is_ending(record_) && !is_preempted(record_);
  enter(v1::JOB_STATE_STOPPING, event.reason);
  stop_gang(was_ending ? std::min(event.grace, kBrokenGangGrace) : event.grace, event.reason);
  check_over();
}

void Step::on(const ResumeRequested&) {
  if (record_.job.state() != v1::JOB_STATE_STOPPED && record_.job.state() != v1::JOB_STATE_FAILED) {
    return;
  }
  record_.job.set_restarts(0);
  record_.attempts_without_progress = 0;
  record_.not_before = MonotonicTime{};
  record_.failure.reset();
  record_.avoided.clear();
  record_.passed_over.clear();
  record_.unreadable = false;
  record_.roll_backs = 0;
  record_.job.clear_excluded_nodes();
  record_.job.clear_retries_cancelled();
  enter(v1::JOB_STATE_QUEUED, "resumed by the user");
}

void Step::on(const PreemptRequested& event) {
  if (!active() || is_ending(record_)) return;
  condemn({outcome::kPreempted, v1::END_CAUSE_PREEMPTED, event.reason}, event.grace);
  check_over();
}

void Step::on(const GangOver& event) {
  if (!active()) return;
  v1::Attempt& attempt = record_.attempt;
  attempt.set_finished_us(unix_micros(now_.wall));
  attempt.set_ended_at_step(record_.reached_step);
  Conclusion end = conclude(record_, event.finished, event.newest_checkpoint);
  attempt.set_outcome(std::string(end.outcome));
  attempt.set_cause(end.cause);
  attempt.set_reason(end.attempt_reason);
  // Only what may be the node's fault is held against it.
  const bool of_its_node =
      end.cause == v1::END_CAUSE_INFRASTRUCTURE || end.cause == v1::END_CAUSE_HUNG;
  if (!of_its_node || is_drilled(attempt)) attempt.clear_blamed_node();
  record_.avoided.clear();
  if (!attempt.blamed_node().empty()) record_.avoided.emplace(attempt.blamed_node());
  record_.failure = std::move(end.failure);
  record_.unreadable = end.unreadable;
  if (end.roll_back) {
    if (end.outcome == outcome::kRolledBack) ++record_.roll_backs;
    record_.roll_back_before = end.roll_back->roll_back_before();
    remember_skipped(*end.roll_back, record_.skip_batches);
  }
  record_.job.set_restarts(end.restarts);
  record_.attempts_without_progress = end.attempts_without_progress;
  record_.not_before = now_.monotonic + end.pause;
  enter(end.next, end.job_reason);
  for (const NodeId& node : record_.launched) {
    effects_.commands.push_back(ForgetCommand{node, record_.attempt_id()});
  }
}

Effects apply(JobRecord& record, const Event& event, Moment now) {
  Step step(record, now);
  std::visit([&](const auto& each) { step.on(each); }, event);
  return step.take();
}

}  // namespace lctl::jobs
