#include "server/jobs/cluster_table.h"

#include <algorithm>
#include <utility>

namespace lctl::jobs {
namespace {

using scheduler::DeviceKind;

using DeviceKey = std::tuple<std::string_view, std::string_view, int>;  // node, kind, index

std::set<DeviceKey> devices_held(const std::map<JobId, JobRecord>& records) {
  std::set<DeviceKey> held;
  for (const auto& [id, record] : records) {
    if (!is_active(record.job.state())) continue;
    for (const v1::RankStatus& rank : record.attempt.ranks()) {
      if (holds_device(rank.state())) {
        held.emplace(rank.node_id(), rank.device_kind(), rank.device_index());
      }
    }
  }
  return held;
}

}  // namespace

void ClusterTable::join(const NodeInfo& info) { nodes_[info.id] = Node{.info = info}; }

void ClusterTable::set_available(const NodeId& node, bool available) {
  if (const auto found = nodes_.find(node); found != nodes_.end())
    found->second.available = available;
}

void ClusterTable::remove(const NodeId& node) { nodes_.erase(node); }

void ClusterTable::set_faults(const NodeId& node, std::span<const DeviceFault> faults) {
  if (const auto found = nodes_.find(node); found != nodes_.end())
    found->second.info.faults = {faults.begin(), faults.end()};
}

const DeviceFault* ClusterTable::fault_of(const NodeId& node, std::string_view kind,
                                          int index) const {
  const NodeInfo* info = find(node);
  if (info == nullptr) return nullptr;
  for (const DeviceFault& fault : info->faults) {
    if (fault.device.kind == kind && fault.device.index == index) return &fault;
  }
  return nullptr;
}

const NodeInfo* ClusterTable::find(const NodeId& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? nullptr : &found->second.info;
}

void ClusterTable::set_drain(const NodeId& node, std::optional<Drain> drain) {
  if (drain) {
    drains_.insert_or_assign(node, *std::move(drain));
  } else {
    drains_.erase(node);
  }
}

const Drain* ClusterTable::drain_of(const NodeId& node) const {
  const auto found = drains_.find(node);
  return found == drains_.end() ? nullptr : &found->second;
}

void ClusterTable::add_stale(const NodeId& node, const AttemptId& attempt, int rank,
                             MonotonicTime until) {
  if (const auto found = nodes_.find(node); found != nodes_.end()) {
    found->second.stale.emplace(std::pair(attempt, rank), until);
  }
}

void ClusterTable::remove_stale(const NodeId& node, const AttemptId& attempt, int rank) {
  if (const auto found = nodes_.find(node); found != nodes_.end()) {
    found->second.stale.erase({attempt, rank});
  }
}

std::vector<std::pair<NodeId, AttemptId>> ClusterTable::expire_stale(MonotonicTime now) {
  std::vector<std::pair<NodeId, AttemptId>> expired;
  for (auto& [id, node] : nodes_) {
    std::erase_if(node.stale, [&](const auto& each) {
      if (each.second > now) return false;
      expired.emplace_back(id, each.first.first);
      return true;
    });
  }
  return expired;
}

std::optional<MonotonicTime> ClusterTable::next_expiry() const {
  std::optional<MonotonicTime> next;
  for (const auto& [id, node] : nodes_) {
    for (const auto& [rank, until] : node.stale) {
      if (!next || until < *next) next = until;
    }
  }
  return next;
}

std::vector<scheduler::NodeView> ClusterTable::views(
    const std::map<JobId, JobRecord>& records) const {
  const std::set<DeviceKey> held = devices_held(records);
  std::vector<scheduler::NodeView> views;
  views.reserve(nodes_.size());
  for (const auto& [id, node] : nodes_) {
    const bool accepting = node.available && node.stale.empty() && !drains_.contains(id);
    scheduler::NodeView view{.id = id, .accepting = accepting};
    for (const NodeDevice& device : node.info.devices) {
      if (fault_of(id, device.kind, device.index) != nullptr) continue;
      scheduler::DevicesView& devices =
          device.kind == to_string(DeviceKind::kCuda) ? view.cuda : view.cpu;
      ++devices.total;
      if (!held.contains({id.str(), device.kind, device.index}))
        devices.free.push_back(device.index);
    }
    std::sort(view.cpu.free.begin(), view.cpu.free.end());
    std::sort(view.cuda.free.begin(), view.cuda.free.end());
    views.push_back(std::move(view));
  }
  return views;
}

std::map<NodeId, NodeUse> node_use(const std::map<JobId, JobRecord>& records) {
  std::map<NodeId, NodeUse> uses;
  for (const auto& [id, record] : records) {
    if (!is_active(record.job.state())) continue;
    for (const v1::RankStatus& rank : record.attempt.ranks()) {
      if (is_over(rank.state())) continue;
      NodeUse& use = uses[NodeId{rank.node_id()}];
      ++use.ranks_left;
      if (!holds_device(rank.state())) continue;
      ++use.devices_in_use;
      use.jobs.insert(id);
    }
  }
  return uses;
}

}  // namespace lctl::jobs
