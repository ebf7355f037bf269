// What goes wrong in a gang, by itself or on purpose.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/printable_line.h"
#include "server/jobs/drill.h"
#include "server/jobs/hang.h"
#include "server/jobs/step.h"

namespace lctl::jobs {
namespace {

// From the first rank that stalls: for all to write their stacks and say how far they are.
constexpr Duration kHangPatience = std::chrono::seconds(8);

constexpr std::size_t kPatternShown = 100;  // bytes

}  // namespace

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

// Whoever has not told by now will not, or its node cannot.
void Step::on(const HangDue&) {
  if (!record_.hang_due) return;
  record_.hang_due.reset();
  if (active() && !is_ending(record_) && !record_.stalls.empty()) condemn_hung();
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

}  // namespace lctl::jobs
