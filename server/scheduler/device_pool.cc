#include "server/scheduler/device_pool.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/check.h"

namespace lctl::scheduler {

DevicePool::DevicePool(DeviceKind kind, std::span<const NodeView* const> nodes) : kind_(kind) {
  for (const NodeView* node : nodes) {
    const DevicesView& devices = devices_of(*node);
    if (devices.total == 0) continue;
    const int free = static_cast<int>(devices.free.size());
    LCTL_CHECK(free <= devices.total, "a node cannot have more free devices than devices");
    entries_.push_back({.node = node, .total = devices.total, .free = free});
    ++nodes_with_total_[devices.total];
    if (const int takeable = entries_.back().takeable(); takeable > 0) {
      by_takeable_[takeable].insert(entries_.size() - 1);
    }
  }
}

const DevicesView& DevicePool::devices_of(const NodeView& node) const {
  return kind_ == DeviceKind::kCuda ? node.cuda : node.cpu;
}

bool DevicePool::excludes(const GangShape& gang, const NodeId& node) {
  return std::find(gang.excluded.begin(), gang.excluded.end(), node) != gang.excluded.end();
}

template <typename Change>
void DevicePool::update(std::size_t index, Change change) {
  Entry& entry = entries_[index];
  if (const int before = entry.takeable(); before > 0) {
    const auto bucket = by_takeable_.find(before);
    bucket->second.erase(index);
    if (bucket->second.empty()) by_takeable_.erase(bucket);
  }
  change(entry);
  if (const int after = entry.takeable(); after > 0) by_takeable_[after].insert(index);
}

bool DevicePool::could_ever_fit(const GangShape& gang) const {
  int suitable = 0;
  for (auto it = nodes_with_total_.lower_bound(gang.devices_per_node);
       it != nodes_with_total_.end(); ++it) {
    suitable += it->second;
  }
  if (suitable < gang.nodes || gang.excluded.empty()) return suitable >= gang.nodes;
  for (const Entry& entry : entries_) {
    if (entry.total >= gang.devices_per_node && excludes(gang, entry.node->id)) --suitable;
  }
  return suitable >= gang.nodes;
}

std::optional<std::vector<NodePlacement>> DevicePool::take(const GangShape& gang) {
  const auto wanted = static_cast<std::size_t>(gang.nodes);
  std::vector<std::size_t> picked;
  for (auto bucket = by_takeable_.lower_bound(gang.devices_per_node);
       bucket != by_takeable_.end() && picked.size() < wanted; ++bucket) {
    for (const std::size_t index : bucket->second) {
      if (picked.size() == wanted) break;
      if (!excludes(gang, entries_[index].node->id)) picked.push_back(index);
    }
  }
  if (picked.size() < wanted) return std::nullopt;

  std::vector<NodePlacement> placed;
  placed.reserve(wanted);
  for (const std::size_t index : picked) {
    const Entry& entry = entries_[index];
    const std::vector<int>& all = devices_of(*entry.node).free;
    // Devices are taken from the front, so the first ones of the list are gone already.
    const auto first = all.end() - entry.free;
    placed.push_back({entry.node->id, {first, first + gang.devices_per_node}});
    update(index, [&](Entry& each) { each.free -= gang.devices_per_node; });
  }
  return placed;
}

bool DevicePool::would_fit(const GangShape& gang, const std::map<NodeId, int>& beside) const {
  int nodes = 0;
  for (const Entry& entry : entries_) {
    if (!entry.node->accepting || excludes(gang, entry.node->id)) continue;
    const auto more = beside.find(entry.node->id);
    nodes += entry.takeable() + (more == beside.end() ? 0 : more->second) >= gang.devices_per_node;
  }
  return nodes >= gang.nodes;
}

void DevicePool::expect(const RunningGang& gang) {
  if (gang.kind != kind_) return;
  for (const auto& [node, devices] : gang.devices) {
    const auto entry =
        std::lower_bound(entries_.begin(), entries_.end(), node,
                         [](const Entry& each, const NodeId& id) { return each.node->id < id; });
    if (entry != entries_.end() && entry->node->id == node) entry->expected += devices;
  }
}

std::map<NodeId, int> DevicePool::room_for(const GangShape& gang) const {
  std::map<NodeId, int> room;
  for (const Entry& entry : entries_) {
    if (!entry.node->accepting || entry.total < gang.devices_per_node ||
        excludes(gang, entry.node->id)) {
      continue;
    }
    room.emplace_hint(room.end(), entry.node->id, entry.takeable() + entry.expected);
  }
  return room;
}

void DevicePool::reserve(const JobId& job, const GangShape& gang) {
  LCTL_CHECK(!reserved_for_, "a pool has one reservation");
  std::vector<std::size_t> candidates;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].total >= gang.devices_per_node && !excludes(gang, entries_[i].node->id)) {
      candidates.push_back(i);
    }
  }
  const auto wanted = static_cast<std::size_t>(gang.nodes);
  LCTL_CHECK(candidates.size() >= wanted, "a reservation needs nodes that could hold the gang");
  // The most nearly free nodes; what is expected counts, so that a gang gets those that others were
  // asked to leave. Since reserved devices are not taken, the sum over the chosen nodes of
  // min(free + expected, wanted) never falls from one decision to the next: it ends at "all free".
  const auto rank = [&](std::size_t i) {
    const Entry& entry = entries_[i];
    return std::tuple(!entry.node->accepting,
                      -std::min(entry.free + entry.expected, gang.devices_per_node), i);
  };
  std::partial_sort(candidates.begin(), candidates.begin() + gang.nodes, candidates.end(),
                    [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
  candidates.resize(wanted);
  for (const std::size_t index : candidates) {
    update(index, [&](Entry& entry) {
      entry.reserve = gang.devices_per_node;
      entry.kept = std::min(entry.free, gang.devices_per_node);
    });
  }
  reserved_for_ = job;
}

DevicePool::Census DevicePool::census(const GangShape& gang) const {
  Census census;
  for (const Entry& entry : entries_) {
    ++census.nodes;
    if (excludes(gang, entry.node->id)) {
      ++census.excluded;
      continue;
    }
    census.largest = std::max(census.largest, entry.total);
    census.largest_free = std::max(census.largest_free, entry.takeable());
    if (entry.total < gang.devices_per_node) continue;
    ++census.big_enough;
    if (!entry.node->accepting) {
      ++census.silent;
    } else if (entry.takeable() >= gang.devices_per_node) {
      ++census.fit_now;
    } else if (entry.free >= gang.devices_per_node) {
      ++census.fit_but_reserved;
    }
  }
  return census;
}

}  // namespace lctl::scheduler
