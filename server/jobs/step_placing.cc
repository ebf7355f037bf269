// The gang is placed, started, and what its nodes say of it.
#include <fmt/format.h>

#include <algorithm>

#include "server/jobs/drill.h"
#include "server/jobs/step.h"

namespace lctl::jobs {

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

}  // namespace lctl::jobs
