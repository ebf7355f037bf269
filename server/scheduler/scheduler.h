// Decides which queued jobs start now, on which nodes and on which devices.
//
// Pure: reads its arguments and nothing else (no clock, store, lock or log), so equal arguments
// give equal decisions. Any thread may call it. The caller commits the decision to the store before
// it launches anything.
//
// Policy
// 1. Jobs are considered by priority (highest first), then submission, then id.
// 2. A gang is placed whole, on devices of one kind, or not at all. Nodes are filled best fit:
// those
//    with the fewest free devices that suffice, so that wide gaps stay for wide gangs.
// 3. The first job of each device kind that has to wait for others to end gets a *reservation*: the
//    nodes nearest to being free for it. Jobs behind it start only on devices that it cannot use,
//    so a stream of small jobs never starves a wide one. Nothing is known of how long jobs run, so
//    a reserved device stays idle until its job starts.
// 4. A job that cannot run on the nodes that are there, whatever ends, reserves nothing.
// 5. A job goes round nodes on which it has just failed as long as it fits elsewhere now.
// 6. When a job with a reservation would fit if running gangs of lower priority ended, the decision
//    names them (preemption); none when it would not fit even then. Of each node those are chosen
//    that have the lowest priority, then the youngest; of the nodes those whose highest victim is
//    lowest, then those with the fewest victims. Nobody is named who is not needed. Gangs that are
//    ending already count as room.
// 7. "auto" means CUDA devices when the nodes that are there could ever hold the gang on them, else
//    CPU slots.
// 8. An elastic job takes the largest of its numbers of nodes that fits now. It waits only when not
//    even the smallest fits: that one counts for its reservation, its room and its reason.
// 9. A running elastic gang may grow when a larger number of its nodes would fit if it ended now,
//    and no job before it in the order of 1. waits for devices of its kind. What it needs is kept
//    for it from the decision on that lets it end until it is placed again, so that it never ends
//    for nothing.
//
// Cost: O(nodes log nodes) for each reservation (at most two), O(log nodes) for each started rank,
// and O(1) for each further waiting job of a shape that was seen.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"

namespace lctl::scheduler {

enum class DeviceKind { kCpu, kCuda };

// "cpu" or "cuda", as in v1.Device.kind.
std::string_view to_string(DeviceKind kind);

enum class Accelerator { kAuto, kCpu, kCuda };

// A node's devices of one kind.
struct DevicesView {
  int total = 0;          // free and busy ones
  std::vector<int> free;  // indexes of the free ones, ascending
};

struct NodeView {
  NodeId id;
  // False: the node is there and counts for what could fit some day, but takes no new ranks just
  // now (silent, or old ranks are still being removed from it).
  bool accepting = true;
  DevicesView cpu;
  DevicesView cuda;
};

struct QueuedJob {
  JobId id;
  int priority = 50;           // higher goes first
  std::int64_t submitted = 0;  // smaller goes first among equals; any unit
  int nodes = 1;               // >= 1; the most, when `fewer` has further numbers
  std::vector<int> fewer;      // numbers of nodes that do as well, most first
  int devices_per_node = 1;    // >= 1
  Accelerator accelerator = Accelerator::kAuto;
  std::vector<NodeId> excluded;  // nodes on which it must not be placed
  std::vector<NodeId> avoided;   // nodes that it does without when it fits elsewhere now
};

// A gang that holds devices.
struct RunningGang {
  JobId id;
  int priority = 50;
  std::int64_t started = 0;  // the larger the younger; any unit
  bool preemptible = false;  // it may be asked to end
  bool ending = false;       // it is about to end by itself
  DeviceKind kind = DeviceKind::kCpu;
  std::map<NodeId, int> devices;  // that it holds

  // Of an elastic gang that may grow: larger numbers of nodes than its own, most first, and what
  // its job asks for.
  std::vector<int> larger;
  int devices_per_node = 1;
  std::int64_t submitted = 0;    // of its job
  std::vector<NodeId> excluded;  // nodes on which it must not be placed
  bool claims = false;           // it ends for that, now or already: keep what it needs
};

struct NodePlacement {
  NodeId node;
  std::vector<int> devices;  // indexes, ascending; devices[i] is for local rank i
};

struct Placement {
  JobId job;
  DeviceKind kind = DeviceKind::kCpu;
  std::vector<NodePlacement> nodes;  // nodes[i] hosts ranks [i*d, (i+1)*d), d = devices_per_node
};

enum class WaitCause {
  kBusy,        // fits when others end
  kReserved,    // would fit now, but the devices are kept for a job before it
  kImpossible,  // cannot fit on the nodes that are there
};

struct Waiting {
  JobId job;
  WaitCause cause = WaitCause::kBusy;
  std::string reason;  // one line for people; `lctl status` prints it unchanged
};

// A running gang that has to make room.
struct Preemption {
  JobId victim;
  JobId beneficiary;
};

// A running gang that would have more nodes if it were placed anew.
struct Growth {
  JobId job;
  int nodes = 0;
};

// All lists are in the order in which the jobs were considered.
struct Decision {
  std::vector<Placement> start;
  std::vector<Waiting> wait;
  std::vector<Preemption> preempt;
  std::vector<Growth> grow;  // none that is ending
};

// Every job of `queue` is in exactly one of `start` and `wait`. The order of the arguments does not
// matter. Node ids and job ids must not repeat. `running` may leave out gangs that are neither
// preemptible nor ending nor able to grow.
Decision schedule(std::span<const NodeView> nodes, std::span<const QueuedJob> queue,
                  std::span<const RunningGang> running = {});

}  // namespace lctl::scheduler
