// What nodes report to the engine, and what people want of nodes.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/log.h"
#include "server/jobs/engine.h"
#include "storage/jobs/job_store.h"

namespace lctl::jobs {
namespace {

spdlog::logger& log() {
  static spdlog::logger& named = logger("jobs");
  return named;
}

// A replaced attempt's ranks are killed at once; a node that does not confirm it in this time gets
// new ranks all the same.
constexpr Duration kStaleRankLimit = std::chrono::seconds(30);

constexpr std::size_t kNodesNamed = 8;  // in messages

std::string name_of(const NodeDevice& device) {
  return fmt::format("{} {}", device.kind == "cuda" ? "GPU" : "CPU slot", device.index);
}

}  // namespace

// A rank that nobody waits for: its attempt was replaced or its job is not known here.
void JobsEngine::fence(const NodeId& node, const RankReport& report) {
  if (holds_device(report.state)) {
    log().warn("node {} runs rank {} of {}, which is not current: stopping it", node.str(),
               report.rank, report.attempt.str());
    cluster_.add_stale(node, report.attempt, report.rank, now().monotonic + kStaleRankLimit);
    commands_.push_back(
        StopCommand{node, report.attempt, Duration::zero(), "the attempt was replaced"});
    return;
  }
  cluster_.remove_stale(node, report.attempt, report.rank);
  commands_.push_back(ForgetCommand{node, report.attempt});
  reschedule_ = true;
}

void JobsEngine::node_joined(const NodeInfo& node, std::span<const RankReport> ranks) {
  cluster_.join(node);
  awaited_.erase(node.id);
  reschedule_ = true;
  // Launches that were still to be sent were meant for its earlier connection. Whether they are
  // still wanted is decided anew below, from what the node runs.
  std::erase_if(commands_, [&](const Command& command) {
    const auto* launch = std::get_if<LaunchCommand>(&command);
    return launch != nullptr && launch->node == node.id;
  });
  const absl::Status kept =
      options_.store.jobs().upsert_node({.id = node.id,
                                         .name = node.name,
                                         .address = node.address,
                                         .version = node.version,
                                         .boot_id = node.boot_id,
                                         .last_seen_us = unix_micros(now().wall)});
  if (!kept.ok())
    log().warn("node {} was not entered in the store: {}", node.name, message_of(kept));

  std::map<AttemptId, std::set<int>> known;
  for (const RankReport& report : ranks) known[report.attempt].insert(report.rank);
  for (auto& [id, record] : records_) {
    if (!is_active(record.job.state())) continue;
    handle(record, NodeReturned{node.id, node.name, known[record.attempt_id()]});
  }
  for (const RankReport& report : ranks) rank_reported(node.id, report);
  if (const Drain* drain = cluster_.drain_of(node.id)) make_room_on(node.id, *drain, std::nullopt);
  leave_faulty_devices(node.id);
}

void JobsEngine::node_unavailable(const NodeId& node) { cluster_.set_available(node, false); }

void JobsEngine::node_available(const NodeId& node) {
  cluster_.set_available(node, true);
  reschedule_ = true;
}

void JobsEngine::node_lost(const NodeId& node, const std::string& why) {
  cluster_.remove(node);
  awaited_.erase(node);
  reschedule_ = true;
  for (auto& [id, record] : records_) handle(record, NodeLost{node, why});
}

void JobsEngine::rank_reported(const NodeId& node, const RankReport& report) {
  JobRecord* record = current(report.attempt);
  const bool placed_here = record != nullptr && report.rank >= 0 &&
                           report.rank < record->attempt.ranks_size() &&
                           record->attempt.ranks(report.rank).node_id() == node.str() &&
                           record->attempt.ranks(report.rank).state() != v1::RANK_STATE_LOST;
  if (placed_here) {
    handle(*record, RankReported{node, report});
  } else {
    fence(node, report);
  }
}

void JobsEngine::rendezvous_ready(const NodeId& node, const AttemptId& attempt, int port) {
  if (JobRecord* record = current(attempt)) handle(*record, RendezvousReady{node, port});
}

void JobsEngine::launch_failed(const NodeId& node, const AttemptId& attempt,
                               const std::string& reason, bool permanent,
                               const std::string& corrupt_checkpoint) {
  JobRecord* record = current(attempt);
  if (record == nullptr) return;
  handle(*record, LaunchFailed{node, reason, permanent, corrupt_checkpoint});
  if (!options_.verify_checkpoint && !record->verifying.empty()) {
    handle(*record, CheckpointVerified{record->verifying, ""});
  }
}

void JobsEngine::checkpoint_verified(const AttemptId& attempt, const CheckpointId& checkpoint,
                                     const absl::StatusOr<std::string>& damage) {
  if (!damage.ok()) {
    log().warn("checkpoint {} could not be read in the store: {}", checkpoint.str(),
               message_of(damage.status()));
  } else if (!damage->empty()) {
    log().error("checkpoint {} of {} is damaged: {}", checkpoint.str(), attempt.job.str(), *damage);
  }
  if (JobRecord* record = current(attempt)) {
    handle(*record, CheckpointVerified{checkpoint.str(), damage.value_or("")});
  }
}

void JobsEngine::log_matched(const NodeId& node, const AttemptId& attempt, int rank, int policy,
                             const std::string& line) {
  if (JobRecord* record = current(attempt)) {
    handle(*record, LogMatched{node, rank, policy, line});
  }
}

// --- faulty devices ---

void JobsEngine::device_faults(const NodeId& node, std::span<const DeviceFault> faults) {
  cluster_.set_faults(node, faults);
  reschedule_ = true;
  leave_faulty_devices(node);
}

// Their gangs have their own grace for a last checkpoint, not a drain's: ranks on a faulty device
// may never answer.
void JobsEngine::leave_faulty_devices(const NodeId& node) {
  const NodeInfo* info = cluster_.find(node);
  if (info == nullptr || info->faults.empty()) return;
  for (auto& [id, record] : records_) {
    if (!is_active(record.job.state()) || is_ending(record)) continue;
    for (const v1::RankStatus& rank : record.attempt.ranks()) {
      if (rank.node_id() != node.str() || !holds_device(rank.state())) continue;
      const DeviceFault* fault = cluster_.fault_of(node, rank.device_kind(), rank.device_index());
      if (fault == nullptr) continue;
      handle(record, PreemptRequested{std::chrono::milliseconds(record.spec->grace_ms()),
                                      fmt::format("{} of node {} must not be used: {}",
                                                  name_of(fault->device), info->name, fault->why)});
      break;
    }
  }
}

// --- hung ranks ---

void JobsEngine::rank_stalled(const NodeId& node, const RankStall& stall) {
  if (JobRecord* record = current(stall.attempt)) handle(*record, RankStalled{node, stall});
}

absl::StatusOr<v1::Job> JobsEngine::write_stacks(const JobId& id) {
  LCTL_ASSIGN_OR_RETURN(v1::Job job, get(id));
  const auto found = records_.find(id);
  std::set<NodeId> nodes;
  if (found != records_.end()) {
    for (const v1::RankStatus& rank : found->second.attempt.ranks()) {
      if (rank.state() == v1::RANK_STATE_RUNNING) nodes.insert(NodeId{rank.node_id()});
    }
  }
  if (nodes.empty()) {
    return absl::FailedPreconditionError(fmt::format(
        "job {} is {}: only ranks that run have stacks", id.str(), name_of(job.state())));
  }
  for (const NodeId& node : nodes) options_.launcher.dump_stacks(node, found->second.attempt_id());
  return job;
}

// --- draining ---

absl::StatusOr<storage::NodeRow> JobsEngine::node_named(const std::string& name) const {
  LCTL_ASSIGN_OR_RETURN(const std::vector<storage::NodeRow> rows, options_.store.jobs().nodes());
  // Of a name that was used again the node that is here, else the one seen last.
  const storage::NodeRow* best = nullptr;
  const auto rank = [&](const storage::NodeRow& row) {
    return std::tuple(row.id.str() == name, cluster_.find(row.id) != nullptr, row.last_seen_us);
  };
  for (const storage::NodeRow& row : rows) {
    if (row.name != name && row.id.str() != name) continue;
    if (best == nullptr || rank(*best) < rank(row)) best = &row;
  }
  if (best != nullptr) return *best;
  std::string known;
  for (std::size_t i = 0; i < rows.size() && i < kNodesNamed; ++i) {
    known += (i == 0 ? "" : ", ") + rows[i].name;
  }
  if (rows.size() > kNodesNamed) known += ", …";
  return absl::NotFoundError(fmt::format(
      "there is no node '{}': {}", name,
      rows.empty() ? "none has registered yet" : "those that have registered are " + known));
}

absl::StatusOr<NodeId> JobsEngine::drain(const std::string& name, std::string reason,
                                         std::optional<Duration> grace) {
  LCTL_ASSIGN_OR_RETURN(const storage::NodeRow row, node_named(name));
  // Since when does not change when it is asked for again.
  Drain drain{row.name, row.drained_us != 0 ? row.drained_us : unix_micros(now().wall),
              std::move(reason)};
  LCTL_RETURN_IF_ERROR(
      with_context(options_.store.jobs().set_drained(row.id, drain.since_us, drain.reason),
                   "the node was not drained"));
  log().info("node {} is drained: {}", row.name, drain.reason);
  make_room_on(row.id, drain, grace);
  cluster_.set_drain(row.id, std::move(drain));
  reschedule_ = true;
  return row.id;
}

absl::StatusOr<NodeId> JobsEngine::undrain(const std::string& name) {
  LCTL_ASSIGN_OR_RETURN(const storage::NodeRow row, node_named(name));
  LCTL_RETURN_IF_ERROR(
      with_context(options_.store.jobs().set_drained(row.id, 0, ""), "the node is still drained"));
  log().info("node {} takes ranks again", row.name);
  cluster_.set_drain(row.id, std::nullopt);
  reschedule_ = true;
  return row.id;
}

// Whole gangs: one that has a rank on the node leaves all of its nodes.
void JobsEngine::make_room_on(const NodeId& node, const Drain& drain,
                              std::optional<Duration> grace) {
  std::string why = fmt::format("node {} is drained", drain.node_name);
  if (!drain.reason.empty()) why += ": " + drain.reason;
  for (auto& [id, record] : records_) {
    if (!is_active(record.job.state()) || is_ending(record)) continue;
    const auto& ranks = record.attempt.ranks();
    const bool here = std::any_of(ranks.begin(), ranks.end(), [&](const auto& rank) {
      return rank.node_id() == node.str() && !is_over(rank.state());
    });
    if (!here) continue;
    handle(record, PreemptRequested{grace.value_or(preemption_grace(*record.spec)), why});
  }
}

}  // namespace lctl::jobs
