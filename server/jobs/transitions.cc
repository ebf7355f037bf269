#include "server/jobs/transitions.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/printable_line.h"
#include "server/jobs/drill.h"
#include "server/jobs/hang.h"
#include "server/jobs/roll_back.h"
#include "server/jobs/verdict.h"

namespace lctl::jobs {
namespace {

// Ranks of a broken gang often hang in a collective: they get just enough time to write a
// checkpoint where they still can.
constexpr Duration kBrokenGangGrace = std::chrono::seconds(1);

// From the first rank that stalls: for all to write their stacks and say how far they are.
constexpr Duration kHangPatience = std::chrono::seconds(8);

constexpr std::size_t kPatternShown = 100;  // bytes

// One application of one event.
class Step {
 public:
  Step(JobRecord& record, Moment now) : record_(record), now_(now) {}

  void on(const Placed& event);
  void on(const RendezvousReady& event);
  void on(const RankReported& event);
  void on(const LaunchFailed& event);
  void on(const NodeLost& event);
  void on(const NodeReturned& event);
  void on(const StopRequested& event);
  void on(const ResumeRequested& event);
  void on(const PreemptRequested& event);
  void on(const LogMatched& event);
  void on(const RankStalled& event);
  void on(const HangDue& event);
  void on(const CheckpointVerified& event);
  void on(const DrillRequested& event);
  void on(const GangOver& event);

  Effects take() { return std::move(effects_); }

 private:
  bool active() const { return is_active(record_.job.state()); }
  v1::RankStatus* rank_on(const NodeId& node, int rank);
  void enter(v1::JobState state, std::string reason);
  void say(std::string reason);
  void condemn(const Verdict& verdict, Duration grace = kBrokenGangGrace);
  void rank_lost(const std::string& reason);
  void arrived_damaged(const LaunchFailed& event, const std::string& node_name);
  void stop_gang(Duration grace, const std::string& reason);
  void ask_for_stacks();
  bool all_have_told() const;
  void condemn_hung();
  void launch(int node_rank);
  void never_started(v1::RankStatus& rank, const std::string& why);
  void check_over();

  JobRecord& record_;
  Moment now_;
  Effects effects_;
};

v1::RankStatus* Step::rank_on(const NodeId& node, int rank) {
  if (rank < 0 || rank >= record_.attempt.ranks_size()) return nullptr;
  v1::RankStatus* status = record_.attempt.mutable_ranks(rank);
  return status->node_id() == node.str() ? status : nullptr;
}

// Every change of state goes through here: one transition row each.
void Step::enter(v1::JobState state, std::string reason) {
  v1::Transition transition;
  transition.set_time_us(unix_micros(now_.wall));
  transition.set_from(record_.job.state());
  transition.set_to(state);
  transition.set_attempt(record_.job.attempt());
  transition.set_reason(reason);
  effects_.transitions.push_back(std::move(transition));
  record_.job.set_state(state);
  record_.job.set_finished_us(is_final(state) ? unix_micros(now_.wall) : 0);
  record_.waiting.clear();
  say(std::move(reason));
}

void Step::say(std::string reason) {
  record_.job.set_reason(std::move(reason));
  effects_.changed = true;
}

// The attempt's first verdict stands; its gang is stopped at once.
void Step::condemn(const Verdict& verdict, Duration grace) {
  if (is_ending(record_)) return;
  record_.attempt.set_outcome(std::string(verdict.outcome));
  record_.attempt.set_cause(verdict.cause);
  const bool by_drill = is_drilled(record_.attempt) && now_.monotonic <= record_.drilled_until;
  const std::string reason = by_drill ? drilled(verdict.reason) : verdict.reason;
  record_.attempt.set_reason(reason);
  stop_gang(grace, reason);
  say(fmt::format("{}; waiting for the attempt's ranks to end", reason));
}

void Step::stop_gang(Duration grace, const std::string& reason) {
  record_.stop_grace = grace;
  effects_.changed = true;
  std::set<NodeId> alive;
  for (v1::RankStatus& rank : *record_.attempt.mutable_ranks()) {
    if (is_over(rank.state())) continue;
    if (!record_.launched.contains(NodeId{rank.node_id()})) {
      never_started(rank, "was not started");
    } else {
      alive.insert(NodeId{rank.node_id()});
    }
  }
  for (const NodeId& node : alive) {
    effects_.commands.push_back(StopCommand{node, record_.attempt_id(), grace, reason});
  }
}

// Of the whole gang: who hangs is often not who is at fault.
void Step::ask_for_stacks() {
  std::set<NodeId> nodes;
  for (const v1::RankStatus& rank : record_.attempt.ranks()) {
    if (rank.state() == v1::RANK_STATE_RUNNING) nodes.insert(NodeId{rank.node_id()});
  }
  for (const NodeId& node : nodes) {
    effects_.commands.push_back(DumpCommand{node, record_.attempt_id()});
  }
}

bool Step::all_have_told() const {
  const auto& ranks = record_.attempt.ranks();
  return std::all_of(ranks.begin(), ranks.end(), [this](const v1::RankStatus& rank) {
    if (rank.state() != v1::RANK_STATE_RUNNING) return true;
    const auto told = record_.stalls.find(rank.rank());
    return told != record_.stalls.end() && told->second.stacks_told;
  });
}

void Step::condemn_hung() {
  const HangFinding hang = find_hang(record_.stalls, record_.attempt, record_.job.id());
  record_.stalls.clear();
  record_.hang_due.reset();
  if (hang.culprit >= 0) {
    record_.attempt.set_culprit(hang.culprit);
    record_.attempt.set_blamed_node(record_.attempt.ranks(hang.culprit).node_id());
  }
  condemn({outcome::kFailed, v1::END_CAUSE_HUNG, hang.reason});
}

void Step::launch(int node_rank) {
  const v1::Attempt& attempt = record_.attempt;
  LaunchOrder order{.attempt = record_.attempt_id(),
                    .spec = record_.spec,
                    .world_size = attempt.ranks_size(),
                    .node_rank = node_rank,
                    .bind = node_rank == 0,
                    .resume_checkpoint_id = attempt.resumed_from_checkpoint(),
                    .resume_checkpoint_size = record_.resume_checkpoint_size,
                    .skip_batches = record_.skip_batches,
                    .damage_download = attempt.number() == record_.damaged_attempt};
  if (!order.bind) {
    order.rendezvous_address = record_.addresses.front();
    order.rendezvous_port = record_.rendezvous_port;
  }
  const NodeId node = nodes_of(attempt)[static_cast<std::size_t>(node_rank)];
  for (const v1::RankStatus& rank : attempt.ranks()) {
    if (rank.node_id() != node.str()) continue;
    order.ranks.push_back({.rank = rank.rank(),
                           .local_rank = rank.local_rank(),
                           .device = {rank.device_index(), rank.device_kind()}});
  }
  record_.launched.insert(node);
  effects_.commands.push_back(LaunchCommand{node, std::move(order)});
}

// No process ever was. It counts as stopped, never as finished.
void Step::never_started(v1::RankStatus& rank, const std::string& why) {
  rank.set_state(v1::RANK_STATE_DRAINED);
  rank.set_exit_code(kExitStopped);
  rank.set_message(why);
  effects_.changed = true;
}

void Step::check_over() {
  if (!active() || !record_.verifying.empty()) return;
  const auto& ranks = record_.attempt.ranks();
  effects_.gang_over = std::all_of(ranks.begin(), ranks.end(),
                                   [](const auto& rank) { return is_over(rank.state()); });
}

void Step::on(const Placed& event) {
  if (record_.job.state() != v1::JOB_STATE_QUEUED) return;
  record_.job.set_attempt(record_.job.attempt() + 1);
  v1::Attempt attempt;
  attempt.set_number(record_.job.attempt());
  attempt.set_started_us(unix_micros(now_.wall));
  attempt.set_resumed_from_checkpoint(event.resume_checkpoint_id);
  attempt.set_resumed_at_step(event.resume_step);
  record_.addresses.clear();
  for (const Placed::Node& node : event.nodes) {
    record_.addresses.push_back(node.address);
    for (std::size_t local = 0; local < node.devices.size(); ++local) {
      v1::RankStatus* rank = attempt.add_ranks();
      rank->set_rank(attempt.ranks_size() - 1);
      rank->set_node_id(node.id.str());
      rank->set_node_name(node.name);
      rank->set_local_rank(static_cast<int>(local));
      rank->set_state(v1::RANK_STATE_LAUNCHING);
      rank->set_device_index(node.devices[local].index);
      rank->set_device_kind(node.devices[local].kind);
    }
  }
  if (attempt.number() == record_.damaged_attempt && !event.resume_checkpoint_id.empty()) {
    attempt.set_reason(drilled("its checkpoint is damaged on its way"));
    record_.drilled_until = now_.monotonic + kDrillAftermath;
  }
  record_.attempt = std::move(attempt);
  record_.launched.clear();
  record_.resume_checkpoint_size = event.resume_checkpoint_size;
  record_.rendezvous_port = 0;
  record_.restored = false;
  record_.stop_grace.reset();
  record_.stalls.clear();
  record_.hang_due.reset();
  record_.reached_step = event.resume_step;
  record_.growth = {};

  std::string where = event.nodes.front().name;
  if (event.nodes.size() > 1) where += fmt::format(" and {} more", event.nodes.size() - 1);
  if (const int most = record_.spec->resources().nodes();
      record_.spec->has_elastic() && static_cast<int>(event.nodes.size()) < most) {
    where += fmt::format(" ({} of {} nodes)", event.nodes.size(), most);
  }
  if (!event.resume_checkpoint_id.empty()) {
    where += fmt::format(", goes on from step {}", event.resume_step);
  } else if (!record_.passed_over.empty() || record_.roll_back_before) {
    where += ", begins anew: no checkpoint is left to go on from";
  }
  record_.roll_back_before.reset();
  enter(v1::JOB_STATE_STARTING, "placed on " + where);
  launch(0);
}

void Step::on(const RendezvousReady& event) {
  if (record_.job.state() != v1::JOB_STATE_STARTING || is_ending(record_)) return;
  const std::vector<NodeId> nodes = nodes_of(record_.attempt);
  if (nodes.front() != event.node || record_.rendezvous_port != 0 || record_.restored) return;
  record_.rendezvous_port = event.port;
  for (std::size_t i = 1; i < nodes.size(); ++i) launch(static_cast<int>(i));
}

void Step::on(const RankReported& event) {
  if (!active()) return;
  v1::RankStatus* rank = rank_on(event.node, event.report.rank);
  if (rank == nullptr || is_over(rank->state()) || event.report.state <= rank->state()) return;
  const RankReport& report = event.report;
  const bool exit_is_news = rank->state() < v1::RANK_STATE_EXITED;
  rank->set_state(report.state);
  if (report.pid != 0) rank->set_pid(report.pid);
  effects_.changed = true;
  if (report.state >= v1::RANK_STATE_EXITED && exit_is_news) {
    rank->set_exit_code(report.exit_code);
    rank->set_message(report.message);
    if (report.lost_with_reboot) {
      rank_lost(fmt::format("rank {} was lost with a reboot of node {}", rank->rank(),
                            rank->node_name()));
    } else if (report.lease_ran_out) {
      rank_lost(fmt::format("rank {} on {}: {}", rank->rank(), rank->node_name(), report.message));
    } else if (report.exit_code != 0) {
      const Verdict verdict = verdict_of_exit(*rank);
      if (!is_ending(record_)) {
        record_.attempt.set_culprit(rank->rank());
        if (verdict.cause == v1::END_CAUSE_INFRASTRUCTURE) {
          record_.attempt.set_blamed_node(rank->node_id());
        }
      }
      condemn(verdict);
    }
  }
  const auto& ranks = record_.attempt.ranks();
  if (record_.job.state() == v1::JOB_STATE_STARTING && !is_ending(record_) &&
      std::all_of(ranks.begin(), ranks.end(),
                  [](const auto& each) { return each.state() >= v1::RANK_STATE_RUNNING; })) {
    if (record_.job.started_us() == 0) record_.job.set_started_us(unix_micros(now_.wall));
    record_.passed_over.clear();
    enter(v1::JOB_STATE_RUNNING, ranks.size() == 1
                                     ? std::string("its rank has started")
                                     : fmt::format("all {} ranks have started", ranks.size()));
  }
  check_over();
}

// Unlike a lost node's, its data is still on its way. It explains what other ranks have said
// before: their connections broke.
void Step::rank_lost(const std::string& reason) {
  condemn({outcome::kLost, v1::END_CAUSE_INFRASTRUCTURE, reason});
  v1::Attempt& attempt = record_.attempt;
  if (attempt.outcome() != outcome::kFailed) return;
  attempt.set_outcome(std::string(outcome::kLost));
  attempt.set_cause(v1::END_CAUSE_INFRASTRUCTURE);
  attempt.set_reason(reason);
  attempt.clear_culprit();
  attempt.clear_blamed_node();
}

void Step::on(const LaunchFailed& event) {
  if (!active()) return;
  std::string name;
  for (v1::RankStatus& rank : *record_.attempt.mutable_ranks()) {
    if (rank.node_id() != event.node.str() || rank.state() != v1::RANK_STATE_LAUNCHING) continue;
    name = rank.node_name();
    never_started(rank, event.reason);
  }
  if (name.empty())
    return;  // not a node of this attempt, or its ranks are under way: a late answer
  if (!event.corrupt_checkpoint.empty() &&
      event.corrupt_checkpoint == record_.attempt.resumed_from_checkpoint()) {
    arrived_damaged(event, name);
    return;
  }
  if (event.permanent) {
    exclude_node(record_.job, event.node, name, "it could not be launched there: " + event.reason);
  }
  if (!is_ending(record_)) record_.attempt.set_blamed_node(event.node.str());
  condemn({outcome::kFailed, v1::END_CAUSE_INFRASTRUCTURE,
           fmt::format("node {} could not start its ranks: {}", name, event.reason)});
  check_over();
}

// Whether it is damaged in the store, or was on its way to the node, the store finds out.
void Step::arrived_damaged(const LaunchFailed& event, const std::string& node_name) {
  if (!is_ending(record_)) {
    record_.attempt.set_blamed_node(event.node.str());
    record_.passed_over.insert(event.corrupt_checkpoint);
    record_.verifying = event.corrupt_checkpoint;
    effects_.commands.push_back(VerifyCommand{record_.attempt_id(), event.corrupt_checkpoint});
    condemn({outcome::kLost, v1::END_CAUSE_INFRASTRUCTURE,
             fmt::format("node {} could not start its ranks: {}", node_name, event.reason)});
  }
  check_over();
}

void Step::on(const CheckpointVerified& event) {
  if (record_.verifying != event.checkpoint) return;
  record_.verifying.clear();
  if (!active()) return;
  std::string found = "it is no recovery point any more";
  if (event.damage.empty()) {
    found = "the store's copy is sound: it was damaged on its way";
  } else if (record_.attempt.reason().find(event.damage) == std::string::npos) {
    found = fmt::format("it is damaged in the store ({}), and no recovery point any more",
                        event.damage);
  }
  if (!event.damage.empty()) record_.attempt.clear_blamed_node();
  record_.attempt.set_reason(fmt::format("{}; {}", record_.attempt.reason(), found));
  effects_.changed = true;
  check_over();
}

void Step::on(const DrillRequested& event) {
  if (record_.job.state() != v1::JOB_STATE_RUNNING || is_ending(record_)) return;
  v1::Attempt& attempt = record_.attempt;
  attempt.set_reason(drilled(fmt::format("{} of rank {}", name_of(event.fault), event.rank)));
  record_.drilled_until = now_.monotonic + event.duration + kDrillAftermath;
  effects_.changed = true;
  if (event.fault == Fault::kPreempt) {
    on(PreemptRequested{preemption_grace(*record_.spec), "it is asked to make room"});
    return;
  }
  if (event.fault == Fault::kCorruptCheckpoint) record_.damaged_attempt = attempt.number() + 1;
  effects_.commands.push_back(FaultCommand{NodeId{attempt.ranks(event.rank).node_id()},
                                           record_.attempt_id(), event.rank, event.fault,
                                           event.duration});
}

void Step::on(const NodeLost& event) {
  if (!active()) return;
  int lost = -1;
  for (v1::RankStatus& rank : *record_.attempt.mutable_ranks()) {
    if (rank.node_id() != event.node.str() || is_over(rank.state())) continue;
    rank.set_state(v1::RANK_STATE_LOST);
    rank.set_message(event.why);
    lost = rank.rank();
  }
  if (lost < 0) return;
  effects_.changed = true;
  condemn({outcome::kLost, v1::END_CAUSE_INFRASTRUCTURE, event.why});
  check_over();
}

void Step::on(const NodeReturned& event) {
  if (!active()) return;
  const std::vector<NodeId> nodes = nodes_of(record_.attempt);
  const auto at = std::find(nodes.begin(), nodes.end(), event.node);
  if (at == nodes.end()) return;
  const int node_rank = static_cast<int>(at - nodes.begin());

  bool relaunch = false;
  bool gone = false;
  for (v1::RankStatus& rank : *record_.attempt.mutable_ranks()) {
    if (rank.node_id() != event.node.str() || is_over(rank.state())) continue;
    if (event.known.contains(rank.rank())) continue;
    if (rank.state() != v1::RANK_STATE_LAUNCHING) {
      gone = true;
    } else if (is_ending(record_)) {
      never_started(rank, "was not started");
    } else {
      relaunch = relaunch || record_.launched.contains(event.node);
    }
  }
  // The first node of a gang that waits for its rendezvous is asked again, whatever it runs
  // already.
  const bool asks_again = node_rank == 0 && record_.rendezvous_port == 0 && nodes.size() > 1 &&
                          record_.job.state() == v1::JOB_STATE_STARTING && !is_ending(record_);
  // Who was launched with which rendezvous is not known any more after a server restart; and a
  // first node that forgot a rendezvous which others use cannot open it again.
  const bool confused = (relaunch || asks_again) && nodes.size() > 1 &&
                        (record_.restored || (node_rank == 0 && record_.rendezvous_port != 0));
  if (gone) {
    on(NodeLost{event.node,
                fmt::format("node {} no longer knows the attempt's ranks", event.name)});
    return;
  }
  if (confused && relaunch) {
    on(NodeLost{
        event.node,
        fmt::format("the connection to node {} broke while the gang was starting", event.name)});
    return;
  }
  if ((relaunch || asks_again) && !confused) launch(node_rank);
  if (record_.stop_grace && !event.known.empty()) {
    effects_.commands.push_back(
        StopCommand{event.node, record_.attempt_id(), *record_.stop_grace, record_.job.reason()});
  }
  check_over();
}

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

void Step::on(const LogMatched& event) {
  if (!active() || event.policy < 0 || event.policy >= record_.spec->log_policies_size()) return;
  const v1::RankStatus* rank = rank_on(event.node, event.rank);
  if (rank == nullptr) return;
  const v1::LogPolicy& policy = record_.spec->log_policies(event.policy);
  const std::string why = fmt::format("log policy `{}` matched rank {} on {}: {}",
                                      printable_line(policy.pattern(), kPatternShown), event.rank,
                                      rank->node_name(), event.line);
  switch (policy.action()) {
    case v1::LogPolicy::ACTION_EXCLUDE_NODE:
      exclude_node(record_.job, event.node, rank->node_name(), why);
      effects_.changed = true;
      return;
    case v1::LogPolicy::ACTION_CANCEL_RETRIES:
      if (!record_.job.retries_cancelled().empty()) return;
      record_.job.set_retries_cancelled(why);
      effects_.changed = true;
      return;
    case v1::LogPolicy::ACTION_LABEL:
      effects_.tags.emplace("log_policy." + policy.label(), event.line);
      return;
    default:
      return;  // of a newer client
  }
}

void Step::on(const RankStalled& event) {
  if (!active() || is_ending(record_)) return;
  const v1::RankStatus* rank = rank_on(event.node, event.stall.rank);
  if (rank == nullptr || rank->state() != v1::RANK_STATE_RUNNING) return;
  record_.stalls.insert_or_assign(rank->rank(), event.stall);
  const bool any = std::any_of(record_.stalls.begin(), record_.stalls.end(),
                               [](const auto& each) { return each.second.stalled; });
  if (!any) {  // it was only slow
    record_.stalls.clear();
    record_.hang_due.reset();
  } else if (!record_.hang_due) {
    record_.hang_due = now_.monotonic + kHangPatience;
    ask_for_stacks();
  } else if (all_have_told()) {
    condemn_hung();
  }
}

// Whoever has not told by now will not, or its node cannot.
void Step::on(const HangDue&) {
  if (!record_.hang_due) return;
  record_.hang_due.reset();
  if (active() && !is_ending(record_) && !record_.stalls.empty()) condemn_hung();
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

}  // namespace

Effects apply(JobRecord& record, const Event& event, Moment now) {
  Step step(record, now);
  std::visit([&](const auto& each) { step.on(each); }, event);
  return step.take();
}

}  // namespace lctl::jobs
