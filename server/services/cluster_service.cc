#include "server/services/cluster_service.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/printable_line.h"
#include "server/services/status.h"

namespace lctl::services {
namespace {

constexpr std::int64_t kMaxGraceMs = 3'600'000;
constexpr std::size_t kMaxReasonBytes = 1000;
constexpr std::size_t kMaxNameBytes = 253;

v1::NodeState to_message(nodes::NodeState state) {
  switch (state) {
    case nodes::NodeState::kReady:
      return v1::NODE_STATE_READY;
    case nodes::NodeState::kSuspect:
      return v1::NODE_STATE_SUSPECT;
    case nodes::NodeState::kLost:
      return v1::NODE_STATE_LOST;
  }
  return v1::NODE_STATE_UNSPECIFIED;
}

// What is READY but drained shows how far that is.
v1::NodeState with_drain(v1::NodeState state, const jobs::NodeUse& use) {
  if (state != v1::NODE_STATE_READY) return state;
  return use.ranks_left > 0 ? v1::NODE_STATE_DRAINING : v1::NODE_STATE_DRAINED;
}

void add_drain(const jobs::Drain& drain, v1::Node& node) {
  node.set_drained_us(drain.since_us);
  node.set_drain_reason(drain.reason);
}

// No longer name is known, and messages show it.
std::string name_of(const std::string& node) { return printable_line(node, kMaxNameBytes); }

}  // namespace

std::vector<v1::Node> ClusterService::nodes() const {
  std::vector<nodes::NodeStatus> all;
  std::map<NodeId, jobs::NodeUse> uses;
  std::map<NodeId, jobs::Drain> drains;
  strand_.call([&] {
    all = table_.view();
    uses = engine_.node_use();
    drains = engine_.drains();
  });
  std::vector<v1::Node> answer;
  for (const nodes::NodeStatus& status : all) {
    v1::Node& node = answer.emplace_back();
    node.set_id(status.info.id.str());
    node.set_name(status.info.name);
    node.set_address(status.info.address);
    node.set_state(to_message(status.state));
    node.set_version(status.info.version);
    *node.mutable_devices() = {status.devices.begin(), status.devices.end()};
    node.set_cpus(status.cpus);
    node.set_memory_bytes(status.memory_bytes);
    node.set_load_1m(status.load_1m);
    node.set_last_seen_us(unix_micros(status.last_seen));
    const jobs::NodeUse& use = uses[status.info.id];
    node.set_devices_in_use(use.devices_in_use);
    for (const JobId& job : use.jobs) node.add_job_ids(job.str());
    if (const auto drain = drains.find(status.info.id); drain != drains.end()) {
      node.set_state(with_drain(node.state(), use));
      add_drain(drain->second, node);
      drains.erase(drain);
    }
  }
  // Those that have not been here since the server started: nobody shall forget that they are
  // drained.
  for (const auto& [id, drain] : drains) {
    v1::Node& node = answer.emplace_back();
    node.set_id(id.str());
    node.set_name(drain.node_name);
    node.set_state(v1::NODE_STATE_LOST);
    add_drain(drain, node);
  }
  return answer;
}

v1::Node ClusterService::node(const NodeId& id) const {
  for (v1::Node& node : nodes()) {
    if (node.id() == id.str()) return std::move(node);
  }
  v1::Node away;  // and not drained
  away.set_id(id.str());
  away.set_state(v1::NODE_STATE_LOST);
  return away;
}

grpc::Status ClusterService::ListNodes(grpc::ServerContext*, const v1::ListNodesRequest*,
                                       v1::ListNodesResponse* response) {
  for (v1::Node& node : nodes()) *response->add_nodes() = std::move(node);
  return grpc::Status::OK;
}

grpc::Status ClusterService::DrainNode(grpc::ServerContext*, const v1::DrainNodeRequest* request,
                                       v1::Node* response) {
  const std::int64_t grace_ms = request->grace_ms();
  if (grace_ms < 0 || grace_ms > kMaxGraceMs) {
    return to_grpc(absl::InvalidArgumentError(
        fmt::format("grace_ms is {}; 0 (the jobs' own, 300,000 at least) to {} are expected",
                    grace_ms, kMaxGraceMs)));
  }
  std::optional<Duration> grace;
  if (grace_ms > 0) grace = std::chrono::milliseconds(grace_ms);
  std::string reason = printable_line(request->reason(), kMaxReasonBytes);
  LCTL_GRPC_ASSIGN_OR_RETURN(const NodeId id, strand_.call([&] {
    return engine_.drain(name_of(request->node()), std::move(reason), grace);
  }));
  *response = node(id);
  return grpc::Status::OK;
}

grpc::Status ClusterService::UndrainNode(grpc::ServerContext*,
                                         const v1::UndrainNodeRequest* request,
                                         v1::Node* response) {
  LCTL_GRPC_ASSIGN_OR_RETURN(
      const NodeId id, strand_.call([&] { return engine_.undrain(name_of(request->node())); }));
  *response = node(id);
  return grpc::Status::OK;
}

grpc::Status ClusterService::GetServerInfo(grpc::ServerContext*, const v1::GetServerInfoRequest*,
                                           v1::ServerInfo* response) {
  *response = info_;
  return grpc::Status::OK;
}

}  // namespace lctl::services
