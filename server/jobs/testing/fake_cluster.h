// Node daemons that work, in memory: they start "processes", obey stops, keep what they must until
// they are told to forget it, and say what they run when they connect. And they check, at every
// launch, what must never happen.
//
// Messages up wait in a queue until deliver(): a test decides when the engine hears them.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/jobs/launcher.h"

namespace lctl::jobs {

// Thread rule: caller locks.
class FakeCluster final : public Launcher {
 public:
  struct Process {
    AttemptId attempt;
    int rank = 0;
    NodeDevice device;
    v1::RankState state = v1::RANK_STATE_RUNNING;
    int exit_code = 0;
    bool asked_to_stop = false;
    Duration grace{};  // that it was given
    bool stalled = false;
    std::int64_t begun = 0;
  };
  struct Node {
    NodeInfo info;
    bool connected = false;
    bool fails_next_launch = false;
    bool damages_next_download = false;  // of a checkpoint to go on from
    std::vector<Process> processes;
  };

  // Adds a node that is not connected yet.
  NodeId add_node(const std::string& name, int cpu_slots);
  Node& node(const NodeId& id) { return nodes_.at(id); }

  // The stream up: where delivered messages go. nullptr = the server is down.
  void attach(NodeEvents* server) { server_ = server; }

  // Registers the node with all that it runs.
  void connect(const NodeId& id);
  // The stream breaks: messages on their way are lost.
  void disconnect(const NodeId& id);
  // All streams break.
  void server_down();

  // Hands all messages up, the oldest first.
  void deliver_all();

  // A process takes its next step: RUNNING → EXITED with `code` → DRAINED.
  void exit(const NodeId& id, std::size_t process, int code);
  void drain(const NodeId& id, std::size_t process);
  // A line of its output fits that log policy of its job.
  void match(const NodeId& id, std::size_t process, int policy, const std::string& line);
  // It shows no sign of life, as a rank that has begun so many collectives.
  void stall(const NodeId& id, std::size_t process, std::int64_t begun);
  // Every running process ends: with 75 when it was asked to stop, else with `code`; then all
  // drain.
  void finish_all(int code = 0);

  bool idle() const;  // no node holds any process, not even an ended one

  // Launch orders that were carried out (repeated ones count once), as "attempt id@node".
  const std::vector<std::string>& launched() const { return launched_; }
  // What must never happen, in words; empty when all is well.
  const std::vector<std::string>& violations() const { return violations_; }
  // Drills, as "attempt id/rank@node".
  const std::vector<std::string>& injected() const { return injected_; }
  // Called at each launch, before it is carried out.
  std::function<void(const LaunchOrder&)> on_launch;

  void launch(const NodeId& id, const LaunchOrder& order) override;
  void stop(const NodeId& id, const AttemptId& attempt, Duration grace,
            const std::string& reason) override;
  void dump_stacks(const NodeId& id, const AttemptId& attempt) override;
  void forget(const NodeId& id, const AttemptId& attempt) override;
  void inject(const NodeId& id, const AttemptId& attempt, int rank, Fault fault,
              Duration duration) override;

 private:
  struct Message {
    NodeId node;
    std::function<void(NodeEvents&)> tell;
  };

  void check_launch(const Node& node, const LaunchOrder& order);
  static bool knows(const Node& node, const AttemptId& attempt, int rank);
  void send(const NodeId& id, std::function<void(NodeEvents&)> tell);
  void report(const NodeId& id, const Process& process);
  static RankReport report_of(const Process& process);
  void tell_stall(const NodeId& id, const Process& process, bool stacks_told);

  NodeEvents* server_ = nullptr;
  std::map<NodeId, Node> nodes_;
  std::deque<Message> messages_;
  std::map<JobId, AttemptNumber> newest_attempt_;
  std::vector<std::string> launched_;
  std::vector<std::string> injected_;
  std::vector<std::string> violations_;
};

}  // namespace lctl::jobs
