// The devices of one kind on all nodes, while one decision is being made. Part of scheduler.cc.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "server/scheduler/scheduler.h"

namespace lctl::scheduler {

// What a gang needs of one pool.
struct GangShape {
  int nodes = 1;
  int devices_per_node = 1;
  std::span<const NodeId> excluded;
  bool at_least = false;  // more nodes would do as well; for reasons
};

// Keeps nodes ordered by how many devices a next job may take, so that picking is fast.
// Thread rule: caller locks.
class DevicePool {
 public:
  // `nodes` are sorted by id and outlive the pool.
  DevicePool(DeviceKind kind, std::span<const NodeView* const> nodes);

  DeviceKind kind() const { return kind_; }

  // Could the gang run here if everything else ended?
  bool could_ever_fit(const GangShape& gang) const;

  // Takes the gang's devices, or takes nothing and returns nullopt.
  std::optional<std::vector<NodePlacement>> take(const GangShape& gang);

  // Would it fit now, with these devices beside what is free?
  bool would_fit(const GangShape& gang, const std::map<NodeId, int>& beside) const;

  // Devices that a gang which is ending will give back. Before reserve().
  void expect(const RunningGang& gang);

  // Where the gang may be placed: devices of each node that takes ranks, is large enough and is not
  // excluded, which are free or expected.
  std::map<NodeId, int> room_for(const GangShape& gang) const;

  // Keeps the nodes nearest to being free for this gang: later takes leave it its devices there.
  // At most one reservation in a pool's life. Requires could_ever_fit.
  void reserve(const JobId& job, const GangShape& gang);
  const std::optional<JobId>& reserved_for() const { return reserved_for_; }

  // For reasons.
  struct Census {
    int nodes = 0;             // that have any device of this kind
    int big_enough = 0;        // nodes with devices_per_node devices, free or not
    int largest = 0;           // most devices on one node
    int fit_now = 0;           // accepting nodes with enough devices that may be taken
    int fit_but_reserved = 0;  // further ones that only the reservation holds back
    int largest_free = 0;      // most devices that may be taken on one accepting node
    int silent = 0;            // big enough, but not accepting
    int excluded = 0;          // excluded nodes that are there
  };
  Census census(const GangShape& gang) const;

 private:
  struct Entry {
    const NodeView* node = nullptr;
    int total = 0;
    int free = 0;      // not taken, whether accepting or not
    int kept = 0;      // of those, kept for the reservation
    int reserve = 0;   // devices that the reservation wants here; 0 = not part of it
    int expected = 0;  // that gangs which are ending hold

    int takeable() const { return node->accepting ? free - kept : 0; }
  };

  const DevicesView& devices_of(const NodeView& node) const;
  static bool excludes(const GangShape& gang, const NodeId& node);
  // Moves an entry to its place in by_takeable_ after `change` altered it.
  template <typename Change>
  void update(std::size_t index, Change change);

  DeviceKind kind_;
  std::vector<Entry> entries_;                        // by node id
  std::map<int, std::set<std::size_t>> by_takeable_;  // devices → entries_ indexes; none with 0
  std::map<int, int> nodes_with_total_;               // devices → nodes
  std::optional<JobId> reserved_for_;
};

}  // namespace lctl::scheduler
