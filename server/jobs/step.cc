#include "server/jobs/step.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "server/jobs/drill.h"

namespace lctl::jobs {

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

}  // namespace lctl::jobs
