#include "server/services/cluster_service.h"

#include <map>
#include <vector>

namespace lctl::services {
namespace {

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

}  // namespace

grpc::Status ClusterService::ListNodes(grpc::ServerContext*, const v1::ListNodesRequest*,
                                       v1::ListNodesResponse* response) {
  std::vector<nodes::NodeStatus> all;
  std::map<NodeId, jobs::NodeUse> uses;
  strand_.call([&] {
    all = table_.view();
    uses = engine_.node_use();
  });
  for (const nodes::NodeStatus& status : all) {
    v1::Node& node = *response->add_nodes();
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
  }
  return grpc::Status::OK;
}

grpc::Status ClusterService::GetServerInfo(grpc::ServerContext*, const v1::GetServerInfoRequest*,
                                           v1::ServerInfo* response) {
  *response = info_;
  return grpc::Status::OK;
}

}  // namespace lctl::services
