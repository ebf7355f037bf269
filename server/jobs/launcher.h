// The two directions between jobs and nodes, without gRPC: `Launcher` goes down to the node
// daemons, `NodeEvents` comes back up. server/nodes implements the first and calls the second;
// tests put a simulated cluster in its place.
//
// Every order may be repeated: a node treats a repeated one as done. An order for a node that is
// not connected just now is dropped: when the node registers again it says what it runs, and the
// engine compares (NodeEvents::node_joined).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "proto/lctl/v1/event.pb.h"
#include "proto/lctl/v1/job.pb.h"

namespace lctl::jobs {

// A device as its node names it.
struct NodeDevice {
  int index = 0;
  std::string kind;  // "cpu" or "cuda"
};

// A device that must not be used now.
struct DeviceFault {
  NodeDevice device;
  std::string why;  // one line for people
};

// A node as it registered; checked by server/nodes.
struct NodeInfo {
  NodeId id;
  std::string name;
  std::string address;
  std::string version;
  std::string boot_id;
  std::vector<NodeDevice> devices;
  std::vector<DeviceFault> faults;
};

// What a node says of one rank.
struct RankReport {
  AttemptId attempt;
  int rank = 0;
  v1::RankState state = v1::RANK_STATE_UNSPECIFIED;  // LAUNCHING, RUNNING, EXITED or DRAINED
  std::int64_t pid = 0;
  int exit_code = 0;    // from EXITED on
  std::string message;  // "" = nothing to say
  // Two ends that are no failures; its data follows all the same.
  bool lost_with_reboot = false;  // its machine went down under it
  bool lease_ran_out = false;     // its node had not heard from the server for too long
};

// How far a rank has got whose gang gets nowhere.
struct RankStall {
  AttemptId attempt;
  int rank = 0;
  bool stalled = false;  // its time is over; false: it goes on, or is told for the others' sake
  Duration silence{};    // since its last sign of life
  std::string
      phase;  // "training", …; "" = it keeps no pulse: of what follows only `process` counts
  bool in_batch = false;
  std::int64_t step = 0;
  std::int64_t begun = 0;           // collectives
  std::int64_t passed = 0;          // of them
  std::vector<std::string> recent;  // names of the last that it has begun, newest last
  std::string process;              // what is unusual about its process; "" = nothing
  bool stacks_told = false;         // its log has its stacks, or why there are none
};

// What a drill does (proto/lctl/v1/session.proto, FaultKind).
enum class Fault { kKillRank, kHang, kPreempt, kPartition, kCorruptCheckpoint };

struct RankPlace {
  int rank = 0;
  int local_rank = 0;
  NodeDevice device;
};

// Start the ranks of an attempt that live on one node.
struct LaunchOrder {
  AttemptId attempt;
  std::shared_ptr<const v1::JobSpec> spec;
  std::vector<RankPlace> ranks;
  int world_size = 0;
  int node_rank = 0;
  // True: open the rendezvous socket on this node and answer with its port. False: it listens at
  // rendezvous_address:rendezvous_port already.
  bool bind = false;
  std::string rendezvous_address;
  int rendezvous_port = 0;
  std::string resume_checkpoint_id;  // "" = from the beginning
  std::int64_t resume_checkpoint_size = 0;
  std::vector<v1::BatchPlace> skip_batches;  // that earlier attempts went astray on
  bool damage_download = false;              // a drill: the checkpoint arrives damaged
};

// Thread rule: one strand only, the engine's.
class Launcher {
 public:
  virtual ~Launcher() = default;

  virtual void launch(const NodeId& node, const LaunchOrder& order) = 0;

  // SIGTERM, then SIGKILL after `grace`; zero = at once.
  virtual void stop(const NodeId& node, const AttemptId& attempt, Duration grace,
                    const std::string& reason) = 0;

  // The attempt's ranks there write their stacks into their logs; rank_stalled() tells of each.
  virtual void dump_stacks(const NodeId& node, const AttemptId& attempt) = 0;

  // The end of the attempt's ranks on that node is recorded: their folders may be deleted.
  virtual void forget(const NodeId& node, const AttemptId& attempt) = 0;

  // A drill: does it to that rank, or to the connection of its node. Never repeated.
  virtual void inject(const NodeId& node, const AttemptId& attempt, int rank, Fault fault,
                      Duration duration) = 0;
};

// Thread rule: one strand only, the engine's.
class NodeEvents {
 public:
  virtual ~NodeEvents() = default;

  // The node has registered, for the first time or again. `ranks` are all that it answers for.
  virtual void node_joined(const NodeInfo& node, std::span<const RankReport> ranks) = 0;

  // Its stream broke or its heartbeats are late: its ranks go on, it gets no new ones. And back.
  virtual void node_unavailable(const NodeId& node) = 0;
  virtual void node_available(const NodeId& node) = 0;

  // Silent for too long: its ranks count as lost. `why` is one line for people.
  virtual void node_lost(const NodeId& node, const std::string& why) = 0;

  virtual void rank_reported(const NodeId& node, const RankReport& report) = 0;
  virtual void rendezvous_ready(const NodeId& node, const AttemptId& attempt, int port) = 0;
  // `permanent`: trying again on this node cannot help. `corrupt_checkpoint`: id of the one that
  // arrived damaged; "" = another reason.
  virtual void launch_failed(const NodeId& node, const AttemptId& attempt,
                             const std::string& reason, bool permanent,
                             const std::string& corrupt_checkpoint) = 0;
  // All devices of the node that must not be used from now on; the others may.
  virtual void device_faults(const NodeId& node, std::span<const DeviceFault> faults) = 0;
  // A line of a rank's output fits the log policy of that index. May be told again.
  virtual void log_matched(const NodeId& node, const AttemptId& attempt, int rank, int policy,
                           const std::string& line) = 0;
  // A rank shows no sign of life, goes on after all, or its stacks are in its log. May be told
  // again.
  virtual void rank_stalled(const NodeId& node, const RankStall& stall) = 0;
};

}  // namespace lctl::jobs
