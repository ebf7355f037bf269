#include "server/scheduler/making_room.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace lctl::scheduler {
namespace {

// The first is the first to end.
struct EndsEarlier {
  static auto key(const RunningGang& gang) {
    return std::tuple(gang.priority, -gang.started, std::cref(gang.id));
  }
  bool operator()(const RunningGang* a, const RunningGang* b) const { return key(*a) < key(*b); }
};

using Gangs = std::set<const RunningGang*, EndsEarlier>;

// The gangs that must end to make one node free enough.
struct Clearing {
  NodeId node;
  Gangs victims;

  int highest_priority() const { return (*victims.rbegin())->priority; }
};

std::optional<Clearing> clear(const NodeId& node, int devices, int wanted, const Gangs& gangs) {
  Clearing clearing{.node = node};
  for (const RunningGang* gang : gangs) {
    if (devices >= wanted) break;
    devices += gang->devices.at(node);
    clearing.victims.insert(gang);
  }
  if (devices < wanted) return std::nullopt;
  // A wide gang may have made an earlier, narrower one unnecessary.
  for (auto it = clearing.victims.end(); it != clearing.victims.begin();) {
    --it;
    const int without = devices - (*it)->devices.at(node);
    if (without < wanted) continue;
    devices = without;
    it = clearing.victims.erase(it);
  }
  return clearing;
}

// How much room there is while gangs are thought to end and to go on.
class Room {
 public:
  Room(std::map<NodeId, int> devices, const GangShape& gang)
      : devices_(std::move(devices)), gang_(gang) {
    for (const auto& [node, count] : devices_) fitting_ += count >= gang_.devices_per_node;
  }

  bool suffices() const { return fitting_ >= gang_.nodes; }
  int lacking() const { return gang_.nodes - fitting_; }
  const std::map<NodeId, int>& devices() const { return devices_; }

  void end(const RunningGang& gang) { change(gang, 1); }
  void keep(const RunningGang& gang) { change(gang, -1); }

 private:
  void change(const RunningGang& gang, int sign) {
    for (const auto& [node, count] : gang.devices) {
      const auto found = devices_.find(node);
      if (found == devices_.end()) continue;
      const bool before = found->second >= gang_.devices_per_node;
      found->second += sign * count;
      fitting_ += (found->second >= gang_.devices_per_node) - before;
    }
  }

  std::map<NodeId, int> devices_;
  const GangShape& gang_;
  int fitting_ = 0;  // nodes with enough
};

}  // namespace

std::optional<std::vector<const RunningGang*>> whom_to_end(
    std::map<NodeId, int> devices, const GangShape& gang,
    std::span<const RunningGang* const> candidates) {
  Room room(std::move(devices), gang);
  if (room.suffices()) return std::vector<const RunningGang*>();

  std::map<NodeId, Gangs> by_node;
  for (const RunningGang* candidate : candidates) {
    for (const auto& [node, count] : candidate->devices) by_node[node].insert(candidate);
  }
  std::vector<Clearing> clearings;
  for (const auto& [node, count] : room.devices()) {
    const auto gangs = by_node.find(node);
    if (count >= gang.devices_per_node || gangs == by_node.end()) continue;
    if (auto clearing = clear(node, count, gang.devices_per_node, gangs->second)) {
      clearings.push_back(*std::move(clearing));
    }
  }
  if (static_cast<int>(clearings.size()) < room.lacking()) return std::nullopt;
  std::stable_sort(clearings.begin(), clearings.end(), [](const Clearing& a, const Clearing& b) {
    return std::tuple(a.highest_priority(), a.victims.size()) <
           std::tuple(b.highest_priority(), b.victims.size());
  });
  Gangs victims;
  for (const Clearing& clearing : clearings) {
    if (room.suffices()) break;
    for (const RunningGang* victim : clearing.victims) {
      if (victims.insert(victim).second) room.end(*victim);
    }
  }
  // A gang on several nodes may have cleared more of them than were wanted.
  for (auto it = victims.end(); it != victims.begin();) {
    --it;
    room.keep(**it);
    if (room.suffices()) {
      it = victims.erase(it);
    } else {
      room.end(**it);
    }
  }
  return std::vector<const RunningGang*>(victims.begin(), victims.end());
}

}  // namespace lctl::scheduler
