#include "server/nodes/node_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/version.h"
#include "server/nodes/registration.h"

namespace lctl::nodes {
namespace {

// Lost nodes stay in the table for people to see, this long.
constexpr Duration kRemembered = std::chrono::hours(24);
constexpr std::size_t kMaxNodes = 10'000;

spdlog::logger& log() {
  static spdlog::logger& named = logger("nodes");
  return named;
}

std::int64_t millis(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

// Devices as people see them say of their faults what was checked.
void show_faults(NodeStatus& status) {
  for (v1::Device& device : status.devices) {
    const auto& faults = status.info.faults;
    const auto found = std::find_if(faults.begin(), faults.end(), [&](const auto& fault) {
      return fault.device.kind == device.kind() && fault.device.index == device.index();
    });
    device.set_fault(found == faults.end() ? "" : found->why);
  }
}

AttemptId attempt_of(const std::string& job, int number) { return {JobId(job), number}; }

}  // namespace

// --- streams ---

void NodeTable::opened(std::shared_ptr<AgentStream> stream, MonotonicTime at) {
  if (nodes_.empty() && connections_.empty()) advanced_.reset();  // nobody was watched until now
  const AgentStream* key = stream.get();
  connections_.emplace(key, Connection{.stream = std::move(stream), .node = {}, .opened = at});
}

void NodeTable::closed(const AgentStream* stream) {
  const auto found = connections_.find(stream);
  if (found == connections_.end()) return;
  const auto node = nodes_.find(found->second.node);
  if (node != nodes_.end() && node->second.stream == stream) {
    node->second.stream = nullptr;
    log().info("node {}: its stream has ended", node->second.status.info.name);
    update_availability(node->second);
  }
  connections_.erase(found);
}

void NodeTable::received(const AgentStream* stream, const v1::AgentMessage& message,
                         MonotonicTime at) {
  const auto found = connections_.find(stream);
  if (found == connections_.end()) return;
  Connection& connection = found->second;
  if (message.has_register_() != connection.node.empty()) {
    connection.stream->finish(absl::InvalidArgumentError(
        connection.node.empty() ? "the first message of a stream must be Register"
                                : "Register came twice on one stream"));
    return;
  }
  if (connection.node.empty()) {
    register_node(connection, message.register_(), at);
    return;
  }
  Node& node = nodes_.at(connection.node);
  if (node.stream != stream) return;  // replaced by a newer stream, or the node was given up
  node.heard = std::max(node.heard, at);
  node.status.last_seen = options_.clock.wall_now();
  if (node.status.state == NodeState::kSuspect) {
    log().info("node {} is heard again", node.status.info.name);
    node.status.state = NodeState::kReady;
    update_availability(node);
  }
  handle(connection.node, message);
}

void NodeTable::refuse(Connection& connection, const absl::Status& status) {
  log().warn("a node was refused: {}", message_of(status));
  v1::ServerMessage refused;
  refused.mutable_refused()->set_reason(std::string(message_of(status)));
  connection.stream->send(std::move(refused));
  connection.stream->finish(status);
}

void NodeTable::register_node(Connection& connection, const v1::Register& message,
                              MonotonicTime at) {
  auto checked = check_registration(message);
  if (!checked.ok()) return refuse(connection, checked.status());
  const jobs::NodeInfo& info = checked->info;
  for (const auto& [id, other] : nodes_) {
    if (other.status.info.name == info.name && id != info.id &&
        other.status.state != NodeState::kLost) {
      return refuse(
          connection,
          absl::AlreadyExistsError(fmt::format(
              "another live node has the name '{}': give this one a name of its own (--name)",
              info.name)));
    }
  }
  if (nodes_.size() >= kMaxNodes && !nodes_.contains(info.id)) {
    return refuse(connection, absl::ResourceExhaustedError(
                                  fmt::format("there are {} nodes already", kMaxNodes)));
  }

  Node& node = nodes_[info.id];
  if (AgentStream* old = std::exchange(node.stream, connection.stream.get())) {
    old->finish(absl::AbortedError("the node has opened a newer stream"));
  }
  connection.node = info.id;
  node.heard = at;
  node.available = true;
  node.status = {.info = info,
                 .devices = {message.devices().begin(), message.devices().end()},
                 .cpus = checked->cpus,
                 .memory_bytes = checked->memory_bytes,
                 .state = NodeState::kReady,
                 .load_1m = 0,
                 .last_seen = options_.clock.wall_now()};
  show_faults(node.status);
  log().info("node {} ({}) registered from {}: {} devices, {} ranks", info.name, info.id.str(),
             info.address, info.devices.size(), checked->ranks.size());

  v1::ServerMessage registered;
  registered.mutable_registered()->set_heartbeat_interval_ms(millis(options_.heartbeat_interval));
  registered.mutable_registered()->set_lost_after_ms(millis(options_.lost_after));
  registered.mutable_registered()->set_lease_ms(millis(options_.lease));
  registered.mutable_registered()->set_server_version(kVersion);
  connection.stream->send(std::move(registered));
  events_->node_joined(info, checked->ranks);
  for (const LogMatch& match : checked->log_matches) {
    events_->log_matched(info.id, match.attempt, match.rank, match.policy, match.line);
  }
}

void NodeTable::handle(const NodeId& id, const v1::AgentMessage& message) {
  switch (message.kind_case()) {
    case v1::AgentMessage::kHeartbeat:
      nodes_.at(id).status.load_1m = message.heartbeat().load_1m();
      return;
    case v1::AgentMessage::kRendezvousReady: {
      const v1::RendezvousReady& ready = message.rendezvous_ready();
      if (ready.port() < 1 || ready.port() > 65'535) {
        log().warn("node {} sent the impossible port {}", id.str(), ready.port());
        return;
      }
      events_->rendezvous_ready(id, attempt_of(ready.job_id(), ready.attempt()), ready.port());
      return;
    }
    case v1::AgentMessage::kRankReport: {
      const auto report = check_rank_report(message.rank_report());
      if (!report.ok()) {
        log().warn("node {} sent a report that is ignored: {}", id.str(),
                   message_of(report.status()));
        return;
      }
      events_->rank_reported(id, *report);
      return;
    }
    case v1::AgentMessage::kLaunchFailed: {
      const v1::LaunchFailed& failed = message.launch_failed();
      events_->launch_failed(id, attempt_of(failed.job_id(), failed.attempt()),
                             failed.reason().substr(0, 4096), failed.permanent(),
                             failed.corrupt_checkpoint_id());
      return;
    }
    case v1::AgentMessage::kLogMatch: {
      const auto match = check_log_match(message.log_match());
      if (!match.ok()) {
        log().warn("node {} sent a match that is ignored: {}", id.str(),
                   message_of(match.status()));
        return;
      }
      events_->log_matched(id, match->attempt, match->rank, match->policy, match->line);
      return;
    }
    case v1::AgentMessage::kDeviceFaults:
      return note_faults(id, message.device_faults());
    case v1::AgentMessage::kRankStalled: {
      const auto stall = check_rank_stalled(message.rank_stalled());
      if (!stall.ok()) {
        log().warn("node {} told of a stall that is ignored: {}", id.str(),
                   message_of(stall.status()));
        return;
      }
      events_->rank_stalled(id, *stall);
      return;
    }
    case v1::AgentMessage::kRegister:
    case v1::AgentMessage::KIND_NOT_SET:
      return;  // the latter: of a newer agent
  }
}

void NodeTable::note_faults(const NodeId& id, const v1::DeviceFaults& message) {
  NodeStatus& status = nodes_.at(id).status;
  status.info.faults = check_faults(message.devices(), status.info.devices);
  show_faults(status);
  for (const jobs::DeviceFault& fault : status.info.faults) {
    log().warn("node {}: {} {} must not be used: {}", status.info.name, fault.device.kind,
               fault.device.index, fault.why);
  }
  events_->device_faults(id, status.info.faults);
}

// --- life and death ---

void NodeTable::update_availability(Node& node) {
  const bool available = node.stream != nullptr && node.status.state == NodeState::kReady;
  if (available == node.available) return;
  node.available = available;
  if (available) {
    events_->node_available(node.status.info.id);
  } else {
    events_->node_unavailable(node.status.info.id);
  }
}

void NodeTable::forgive_own_sleep(MonotonicTime now) {
  const Duration since = advanced_ ? now - *advanced_ : Duration::zero();
  advanced_ = now;
  if (since <= options_.suspect_after) return;
  log().warn("this server did not run for {} ms; no node is blamed for that", millis(since));
  for (auto& [id, node] : nodes_) node.heard = std::min(now, node.heard + since);
  for (auto& [stream, connection] : connections_) connection.opened += since;
}

void NodeTable::judge(Node& node, MonotonicTime now) {
  NodeStatus& status = node.status;
  const Duration silence = now - node.heard;
  if (status.state != NodeState::kLost && silence >= options_.lost_after) {
    status.state = NodeState::kLost;
    const std::string why = fmt::format("node {} has not answered for {:.1f} s", status.info.name,
                                        static_cast<double>(millis(silence)) / 1000);
    log().warn("{}: it is lost", why);
    if (AgentStream* stream = std::exchange(node.stream, nullptr)) {
      stream->finish(absl::UnavailableError(why));
    }
    node.available = false;
    events_->node_lost(status.info.id, why);
  } else if (status.state == NodeState::kReady && silence >= options_.suspect_after) {
    status.state = NodeState::kSuspect;
    log().warn("node {} has been silent for {} ms", status.info.name, millis(silence));
    update_availability(node);
  }
}

void NodeTable::advance() {
  const MonotonicTime now = options_.clock.monotonic_now();
  forgive_own_sleep(now);
  for (auto& [id, node] : nodes_) judge(node, now);
  std::erase_if(nodes_, [&](const auto& each) {
    return each.second.status.state == NodeState::kLost && now - each.second.heard >= kRemembered;
  });
  for (auto& [stream, connection] : connections_) {
    if (connection.node.empty() && now - connection.opened >= options_.lost_after) {
      connection.stream->finish(absl::DeadlineExceededError("no Register came on this stream"));
    }
  }
}

std::optional<MonotonicTime> NodeTable::next_deadline() const {
  // Once a heartbeat is often enough to be right to within one, and keeps the watch over our own
  // sleep.
  if (nodes_.empty() && connections_.empty()) return std::nullopt;
  return advanced_.value_or(options_.clock.monotonic_now()) + options_.heartbeat_interval / 2;
}

void NodeTable::close_all(const absl::Status& status) {
  for (auto& [stream, connection] : connections_) connection.stream->finish(status);
}

std::vector<NodeStatus> NodeTable::view() const {
  std::vector<NodeStatus> all;
  for (const auto& [id, node] : nodes_) all.push_back(node.status);
  std::sort(all.begin(), all.end(),
            [](const NodeStatus& a, const NodeStatus& b) { return a.info.name < b.info.name; });
  return all;
}

// --- orders ---

void NodeTable::send(const NodeId& id, v1::ServerMessage message) {
  const auto found = nodes_.find(id);
  if (found != nodes_.end() && found->second.stream != nullptr) {
    found->second.stream->send(std::move(message));
  }
}

void NodeTable::launch(const NodeId& node, const jobs::LaunchOrder& order) {
  send(node, to_message(order));
}

void NodeTable::stop(const NodeId& node, const AttemptId& attempt, Duration grace,
                     const std::string& reason) {
  v1::ServerMessage message;
  message.mutable_stop()->set_job_id(attempt.job.str());
  message.mutable_stop()->set_attempt(attempt.number);
  message.mutable_stop()->set_grace_ms(millis(grace));
  message.mutable_stop()->set_reason(reason);
  send(node, std::move(message));
}

void NodeTable::dump_stacks(const NodeId& node, const AttemptId& attempt) {
  v1::ServerMessage message;
  message.mutable_dump_stacks()->set_job_id(attempt.job.str());
  message.mutable_dump_stacks()->set_attempt(attempt.number);
  send(node, std::move(message));
}

void NodeTable::forget(const NodeId& node, const AttemptId& attempt) {
  v1::ServerMessage message;
  message.mutable_forget()->set_job_id(attempt.job.str());
  message.mutable_forget()->set_attempt(attempt.number);
  send(node, std::move(message));
}

void NodeTable::inject(const NodeId& node, const AttemptId& attempt, int rank, jobs::Fault fault,
                       Duration duration) {
  v1::ServerMessage message;
  message.mutable_inject_fault()->set_job_id(attempt.job.str());
  message.mutable_inject_fault()->set_attempt(attempt.number);
  message.mutable_inject_fault()->set_rank(rank);
  message.mutable_inject_fault()->set_kind(to_message(fault));
  message.mutable_inject_fault()->set_duration_ms(millis(duration));
  send(node, std::move(message));
}

}  // namespace lctl::nodes
