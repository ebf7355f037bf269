// Which nodes there are, whether they are alive, and the streams to them.
//
// A node is READY while it is heard, SUSPECT after `suspect_after` of silence (it gets no new
// ranks), LOST after `lost_after` (its ranks count as lost). A broken stream alone changes nothing
// but that the node cannot be reached: it may be back in a moment, with all its ranks. Whatever a
// node sends counts as a sign of life.
//
// A server that did not run for a while (suspended, its disk stalled) has heard nobody meanwhile:
// the time it slept counts against no node.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/session.pb.h"
#include "server/jobs/launcher.h"

namespace lctl::nodes {

// A live stream to an agent. Thread rule: internally locked.
class AgentStream {
 public:
  virtual ~AgentStream() = default;
  // Queues a message; dropped when the stream has ended.
  virtual void send(v1::ServerMessage message) = 0;
  // Ends the stream behind what was queued. Idempotent: the first status counts.
  virtual void finish(absl::Status status) = 0;
};

enum class NodeState { kReady, kSuspect, kLost };

// A node for people.
struct NodeStatus {
  jobs::NodeInfo info;
  std::vector<v1::Device> devices;
  int cpus = 0;
  std::int64_t memory_bytes = 0;
  NodeState state = NodeState::kReady;
  double load_1m = 0;
  WallTime last_seen;
};

// Thread rule: one strand only, the engine's.
class NodeTable final : public jobs::Launcher {
 public:
  struct Options {
    const Clock& clock;  // outlives the table
    Duration heartbeat_interval = std::chrono::seconds(2);
    Duration suspect_after = std::chrono::seconds(6);
    Duration lost_after = std::chrono::seconds(10);
    Duration lease = std::chrono::seconds(120);  // ranks end themselves after it; zero = never
  };

  explicit NodeTable(Options options) : options_(options) {}

  // Where events go; before anything else. It outlives the table's use.
  void attach(jobs::NodeEvents& events) { events_ = &events; }

  // --- from streams; `at` is when it came off the wire ---

  void opened(std::shared_ptr<AgentStream> stream, MonotonicTime at);
  void received(const AgentStream* stream, const v1::AgentMessage& message, MonotonicTime at);
  void closed(const AgentStream* stream);

  // --- the loop ---

  // Notices who is silent. To be called when next_deadline() has come, and at will.
  void advance();
  std::optional<MonotonicTime> next_deadline() const;

  // Ends all streams.
  void close_all(const absl::Status& status);

  // By name.
  std::vector<NodeStatus> view() const;

  // --- orders of the engine ---

  void launch(const NodeId& node, const jobs::LaunchOrder& order) override;
  void stop(const NodeId& node, const AttemptId& attempt, Duration grace,
            const std::string& reason) override;
  void dump_stacks(const NodeId& node, const AttemptId& attempt) override;
  void forget(const NodeId& node, const AttemptId& attempt) override;
  void inject(const NodeId& node, const AttemptId& attempt, int rank, jobs::Fault fault,
              Duration duration) override;

 private:
  struct Connection {
    std::shared_ptr<AgentStream> stream;
    NodeId node;  // empty until it has registered
    MonotonicTime opened;
  };
  struct Node {
    NodeStatus status;
    AgentStream* stream = nullptr;  // in connections_
    MonotonicTime heard;
    bool available = false;  // as the engine was told
  };

  void register_node(Connection& connection, const v1::Register& message, MonotonicTime at);
  void refuse(Connection& connection, const absl::Status& status);
  void handle(const NodeId& node, const v1::AgentMessage& message);
  void note_faults(const NodeId& id, const v1::DeviceFaults& message);
  void forgive_own_sleep(MonotonicTime now);
  void judge(Node& node, MonotonicTime now);
  void update_availability(Node& node);
  void send(const NodeId& node, v1::ServerMessage message);

  const Options options_;
  jobs::NodeEvents* events_ = nullptr;
  std::map<const AgentStream*, Connection> connections_;
  std::map<NodeId, Node> nodes_;
  std::optional<MonotonicTime> advanced_;  // last time
};

}  // namespace lctl::nodes
