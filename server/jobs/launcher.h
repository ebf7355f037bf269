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
#include "proto/lctl/v1/job.pb.h"

namespace lctl::jobs {

// A device as its node names it.
struct NodeDevice {
  int index = 0;
  std::string kind;  // "cpu" or "cuda"
};

// A node as it registered; checked by server/nodes.
struct NodeInfo {
  NodeId id;
  std::string name;
  std::string address;
  std::string version;
  std::string boot_id;
  std::vector<NodeDevice> devices;
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
};

// Thread rule: one strand only, the engine's.
class Launcher {
 public:
  virtual ~Launcher() = default;

  virtual void launch(const NodeId& node, const LaunchOrder& order) = 0;

  // SIGTERM, then SIGKILL after `grace`; zero = at once.
  virtual void stop(const NodeId& node, const AttemptId& attempt, Duration grace,
                    const std::string& reason) = 0;

  // The end of the attempt's ranks on that node is recorded: their folders may be deleted.
  virtual void forget(const NodeId& node, const AttemptId& attempt) = 0;
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
  // `permanent`: trying again on this node cannot help.
  virtual void launch_failed(const NodeId& node, const AttemptId& attempt,
                             const std::string& reason, bool permanent) = 0;
  // A line of a rank's output fits the log policy of that index. May be told again.
  virtual void log_matched(const NodeId& node, const AttemptId& attempt, int rank, int policy,
                           const std::string& line) = 0;
};

}  // namespace lctl::jobs
