// The nodes as the jobs engine sees them: what devices they have, whether they take ranks, and
// which old ranks are still being removed from them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "server/jobs/job_record.h"
#include "server/jobs/launcher.h"
#include "server/scheduler/scheduler.h"

namespace lctl::jobs {

// What a node does just now.
struct NodeUse {
  int devices_in_use = 0;
  int ranks_left = 0;  // that are not over: running, or still handing in what they wrote
  std::set<JobId> jobs;
};

// A node that takes no new ranks until it is undrained.
struct Drain {
  std::string node_name;
  std::int64_t since_us = 0;
  std::string reason;  // "" = none was given
};

// Thread rule: one strand only, the engine's.
class ClusterTable {
 public:
  // Enters or replaces a node. It has no stale ranks afterwards.
  void join(const NodeInfo& info);
  void set_available(const NodeId& node, bool available);
  void remove(const NodeId& node);

  // All devices that must not be used, of a node that is there.
  void set_faults(const NodeId& node, std::span<const DeviceFault> faults);
  // nullptr when the device may be used, or is not there.
  const DeviceFault* fault_of(const NodeId& node, std::string_view kind, int index) const;

  // nullptr when it is not there.
  const NodeInfo* find(const NodeId& node) const;

  // For any node, whether or not it is there. nullopt: it takes ranks again.
  void set_drain(const NodeId& node, std::optional<Drain> drain);
  const Drain* drain_of(const NodeId& node) const;  // nullptr when it is not drained
  const std::map<NodeId, Drain>& drains() const { return drains_; }

  // A rank of a replaced attempt runs on the node and was told to end. Until it is reported gone,
  // or `until` comes, the node gets no new ranks: they would meet on the same devices.
  void add_stale(const NodeId& node, const AttemptId& attempt, int rank, MonotonicTime until);
  void remove_stale(const NodeId& node, const AttemptId& attempt, int rank);
  // Removes and returns those whose time has come.
  std::vector<std::pair<NodeId, AttemptId>> expire_stale(MonotonicTime now);
  std::optional<MonotonicTime> next_expiry() const;

  // For the scheduler: free are the devices that no rank of `records` holds. Faulty ones are left
  // out.
  std::vector<scheduler::NodeView> views(const std::map<JobId, JobRecord>& records) const;

 private:
  struct Node {
    NodeInfo info;
    bool available = true;
    std::map<std::pair<AttemptId, int>, MonotonicTime> stale;  // until when
  };
  std::map<NodeId, Node> nodes_;
  std::map<NodeId, Drain> drains_;
};

// By node, from the ranks that are not over.
std::map<NodeId, NodeUse> node_use(const std::map<JobId, JobRecord>& records);

}  // namespace lctl::jobs
