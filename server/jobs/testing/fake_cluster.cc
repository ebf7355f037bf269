#include "server/jobs/testing/fake_cluster.h"

#include <algorithm>

namespace lctl::jobs {

NodeId FakeCluster::add_node(const std::string& name, int cpu_slots) {
  const NodeId id{"id-of-" + name};
  Node& node = nodes_[id];
  node.info = {
      .id = id, .name = name, .address = name + ".example", .version = "0.1.0", .boot_id = "b"};
  for (int i = 0; i < cpu_slots; ++i) node.info.devices.push_back({i, "cpu"});
  return id;
}

void FakeCluster::connect(const NodeId& id) {
  Node& node = nodes_.at(id);
  if (server_ == nullptr) return;
  disconnect(id);
  node.connected = true;
  std::vector<RankReport> ranks;
  for (const Process& process : node.processes) ranks.push_back(report_of(process));
  server_->node_joined(node.info, ranks);
}

void FakeCluster::disconnect(const NodeId& id) {
  Node& node = nodes_.at(id);
  std::erase_if(messages_, [&](const Message& message) { return message.node == id; });
  if (node.connected && server_ != nullptr) server_->node_unavailable(id);
  node.connected = false;
}

void FakeCluster::server_down() {
  server_ = nullptr;
  messages_.clear();
  for (auto& [id, node] : nodes_) node.connected = false;
}

void FakeCluster::deliver_all() {
  while (!messages_.empty() && server_ != nullptr) {
    const Message message = std::move(messages_.front());
    messages_.pop_front();
    message.tell(*server_);
  }
}

void FakeCluster::send(const NodeId& id, std::function<void(NodeEvents&)> tell) {
  if (nodes_.at(id).connected) messages_.push_back({id, std::move(tell)});
}

RankReport FakeCluster::report_of(const Process& process) {
  return {.attempt = process.attempt,
          .rank = process.rank,
          .state = process.state,
          .pid = 1000 + process.rank,
          .exit_code = process.exit_code};
}

void FakeCluster::report(const NodeId& id, const Process& process) {
  send(id,
       [id, report = report_of(process)](NodeEvents& server) { server.rank_reported(id, report); });
}

void FakeCluster::exit(const NodeId& id, std::size_t process, int code) {
  Process& each = nodes_.at(id).processes.at(process);
  if (each.state != v1::RANK_STATE_RUNNING) return;
  each.state = v1::RANK_STATE_EXITED;
  each.exit_code = code;
  report(id, each);
}

void FakeCluster::drain(const NodeId& id, std::size_t process) {
  Process& each = nodes_.at(id).processes.at(process);
  if (each.state != v1::RANK_STATE_EXITED) return;
  each.state = v1::RANK_STATE_DRAINED;
  report(id, each);
}

void FakeCluster::match(const NodeId& id, std::size_t process, int policy,
                        const std::string& line) {
  const Process& each = nodes_.at(id).processes.at(process);
  send(id, [id, attempt = each.attempt, rank = each.rank, policy, line](NodeEvents& server) {
    server.log_matched(id, attempt, rank, policy, line);
  });
}

void FakeCluster::stall(const NodeId& id, std::size_t process, std::int64_t begun) {
  Process& each = nodes_.at(id).processes.at(process);
  each.stalled = true;
  each.begun = begun;
  tell_stall(id, each, /*stacks_told=*/false);
}

void FakeCluster::tell_stall(const NodeId& id, const Process& process, bool stacks_told) {
  const RankStall stall{.attempt = process.attempt,
                        .rank = process.rank,
                        .stalled = process.stalled,
                        .silence = std::chrono::seconds(47),
                        .phase = "training",
                        .step = 12,
                        .begun = process.begun,
                        .recent = {"all_reduce"},
                        .stacks_told = stacks_told};
  send(id, [id, stall](NodeEvents& server) { server.rank_stalled(id, stall); });
}

void FakeCluster::dump_stacks(const NodeId& id, const AttemptId& attempt) {
  Node& node = nodes_.at(id);
  if (!node.connected) return;
  for (const Process& process : node.processes) {
    if (process.attempt == attempt && process.state == v1::RANK_STATE_RUNNING) {
      tell_stall(id, process, /*stacks_told=*/true);
    }
  }
}

void FakeCluster::finish_all(int code) {
  for (auto& [id, node] : nodes_) {
    for (std::size_t i = 0; i < node.processes.size(); ++i) {
      exit(id, i, node.processes[i].asked_to_stop ? 75 : code);
      drain(id, i);
    }
  }
}

bool FakeCluster::idle() const {
  return std::all_of(nodes_.begin(), nodes_.end(),
                     [](const auto& each) { return each.second.processes.empty(); });
}

void FakeCluster::check_launch(const Node& target, const LaunchOrder& order) {
  const std::string what = "launch of " + order.attempt.str() + " on " + target.info.name + ": ";
  AttemptNumber& newest = newest_attempt_[order.attempt.job];
  if (order.attempt.number < newest) violations_.push_back(what + "an older attempt");
  // Once an attempt has started, a node that was given up may come back with ranks of the one
  // before; they are told to end and can do no harm.
  const bool starts_attempt = order.attempt.number > newest;
  newest = std::max(newest, order.attempt.number);
  for (const auto& [id, node] : nodes_) {
    if (!node.connected) continue;  // nobody can know what it runs
    for (const Process& process : node.processes) {
      if (process.state != v1::RANK_STATE_RUNNING) continue;
      if (starts_attempt && process.attempt.job == order.attempt.job) {
        violations_.push_back(what + process.attempt.str() + " still runs on " + node.info.name);
      }
    }
  }
  for (const RankPlace& rank : order.ranks) {
    if (knows(target, order.attempt, rank.rank)) continue;  // a repeated order starts nothing
    for (const Process& process : target.processes) {
      if (process.state == v1::RANK_STATE_RUNNING && process.device.index == rank.device.index) {
        violations_.push_back(what + "its device is in use by " + process.attempt.str());
      }
    }
  }
}

bool FakeCluster::knows(const Node& node, const AttemptId& attempt, int rank) {
  return std::any_of(node.processes.begin(), node.processes.end(), [&](const Process& process) {
    return process.attempt == attempt && process.rank == rank;
  });
}

void FakeCluster::launch(const NodeId& id, const LaunchOrder& order) {
  Node& node = nodes_.at(id);
  if (!node.connected) return;
  if (on_launch) on_launch(order);
  check_launch(node, order);
  const bool repeated =
      std::any_of(node.processes.begin(), node.processes.end(),
                  [&](const Process& process) { return process.attempt == order.attempt; });
  if (!repeated && std::exchange(node.fails_next_launch, false)) {
    send(id, [id, attempt = order.attempt](NodeEvents& server) {
      server.launch_failed(id, attempt, "disk full", false, "");
    });
    return;
  }
  if (!repeated && !order.resume_checkpoint_id.empty() &&
      std::exchange(node.damages_next_download, false)) {
    send(id, [id, order](NodeEvents& server) {
      server.launch_failed(id, order.attempt, "it arrived damaged", false,
                           order.resume_checkpoint_id);
    });
    return;
  }
  bool news = false;
  for (const RankPlace& rank : order.ranks) {
    if (knows(node, order.attempt, rank.rank)) continue;
    news = true;
    node.processes.push_back({.attempt = order.attempt, .rank = rank.rank, .device = rank.device});
    report(id, node.processes.back());
  }
  if (news) launched_.push_back(order.attempt.str() + "@" + node.info.name);
  if (order.bind && order.world_size > static_cast<int>(order.ranks.size())) {
    send(id, [id, attempt = order.attempt](NodeEvents& server) {
      server.rendezvous_ready(id, attempt, 29'500);
    });
  }
}

void FakeCluster::stop(const NodeId& id, const AttemptId& attempt, Duration grace,
                       const std::string&) {
  Node& node = nodes_.at(id);
  if (!node.connected) return;
  for (std::size_t i = 0; i < node.processes.size(); ++i) {
    if (node.processes[i].attempt != attempt) continue;
    node.processes[i].asked_to_stop = true;
    node.processes[i].grace = grace;
    if (grace == Duration::zero()) exit(id, i, 137);
  }
}

void FakeCluster::forget(const NodeId& id, const AttemptId& attempt) {
  Node& node = nodes_.at(id);
  if (!node.connected) return;
  std::erase_if(node.processes, [&](const Process& process) { return process.attempt == attempt; });
}

// Nothing follows by itself: a test says what becomes of the rank.
void FakeCluster::inject(const NodeId& id, const AttemptId& attempt, int rank, Fault, Duration) {
  injected_.push_back(attempt.str() + "/" + std::to_string(rank) + "@" + nodes_.at(id).info.name);
}

}  // namespace lctl::jobs
