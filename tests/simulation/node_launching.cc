// What the server orders: launches, stops, and to forget.
#include <fmt/format.h>

#include <utility>

#include "tests/simulation/simulated_node.h"
#include "tests/simulation/simulated_server.h"

namespace lctl::simulation {
namespace {

using std::chrono::milliseconds;

constexpr int kDownloadTries = 3;
constexpr int kPort = 29'500;

}  // namespace

// --- launching ---

void SimulatedNode::on_launch(const v1::Launch& launch) {
  const AttemptId id{JobId(launch.job_id()), launch.attempt()};
  if (const auto known = attempts_.find(id); known != attempts_.end()) {
    if (options_.bug == Bug::kStartsRepeatedLaunches && !known->second.launching) {
      return start_ranks(id, 0);
    }
    // Says again what the first order led to.
    const auto folder = disk_.find(id);
    if (folder != disk_.end() && folder->second.rendezvous_port != 0) report_rendezvous(id);
    for (const auto& [number, rank] : known->second.ranks) report(rank);
    return;
  }
  Attempt& attempt = attempts_[id];
  attempt.launching = true;
  for (const v1::RankAssignment& assigned : launch.ranks()) {
    v1::RankReport& report = attempt.ranks[assigned.rank()].report;
    report.set_job_id(launch.job_id());
    report.set_attempt(launch.attempt());
    report.set_rank(assigned.rank());
    report.set_local_rank(assigned.local_rank());
    report.set_state(v1::RANK_STATE_LAUNCHING);
  }
  later(options_.random.between(milliseconds(1), milliseconds(40)), [this, id, launch] {
    if (fails_launches_) return fail_launch(id, "disk full");
    Folder& folder = disk_[id];
    folder.launch = launch;
    folder.boot = boot_;
    for (const v1::RankAssignment& assigned : launch.ranks()) folder.ranks[assigned.rank()];
    later(options_.random.between(milliseconds(1), milliseconds(40)), [this, id] { prepare(id); });
  });
}

void SimulatedNode::report_rendezvous(const AttemptId& id) {
  v1::AgentMessage message;
  message.mutable_rendezvous_ready()->set_job_id(id.job.str());
  message.mutable_rendezvous_ready()->set_attempt(id.number);
  message.mutable_rendezvous_ready()->set_port(kPort);
  send(std::move(message), "the rendezvous is ready");
}

void SimulatedNode::prepare(const AttemptId& id) {
  Folder& folder = disk_.at(id);
  if (folder.launch.rendezvous().bind()) {
    folder.rendezvous_port = kPort;
    report_rendezvous(id);
  }
  download(id, 0);
}

void SimulatedNode::download(const AttemptId& id, int tries) {
  const v1::Launch& launch = disk_.at(id).launch;
  if (attempts_.at(id).cancelled) return fail_launch(id, "called off");
  if (launch.resume_checkpoint_id().empty()) {
    later(options_.random.between(milliseconds(1), milliseconds(200)),
          [this, id] { start_ranks(id, 0); });
    return;
  }
  if (tries == kDownloadTries) return fail_launch(id, "the checkpoint could not be downloaded");
  options_.transport.call<std::string>(
      options_.number, "download",
      [checkpoint = launch.resume_checkpoint_id()](SimulatedServer& server) {
        return server.download(CheckpointId(checkpoint));
      },
      [this, id, tries, life = life_,
       size = launch.resume_checkpoint_size()](absl::StatusOr<std::string> content) {
        if (!up_ || life != life_ || !attempts_.contains(id)) return;
        if (!content.ok()) {
          return later(milliseconds(300), [this, id, tries] { download(id, tries + 1); });
        }
        if (static_cast<std::int64_t>(content->size()) != size) {
          options_.invariants.violated(fmt::format("{}: a checkpoint of {} bytes, {} were promised",
                                                   id.str(), content->size(), size));
        }
        start_ranks(id, SimulatedRank::step_of(*content));
      });
}

void SimulatedNode::start_ranks(const AttemptId& id, std::int64_t first_step) {
  Attempt& attempt = attempts_.at(id);
  if (attempt.cancelled) return fail_launch(id, "called off");
  attempt.launching = false;
  Folder& folder = disk_.at(id);
  const std::int64_t steps = Invariants::steps_of(folder.launch.spec());
  for (const v1::RankAssignment& assigned : folder.launch.ranks()) {
    const int number = assigned.rank();
    options_.invariants.process_started(id_, assigned.device_index(), id, number);
    options_.trace.add(options_.queue.elapsed(),
                       fmt::format("rank {} of {} starts on {} at step {}", number, id.str(),
                                   options_.name, first_step));
    folder.processes[number] = std::make_shared<SimulatedRank>(
        SimulatedRank::Options{.queue = options_.queue,
                               .random = options_.random,
                               .trace = options_.trace,
                               .invariants = options_.invariants,
                               .rendezvous = options_.rendezvous,
                               .folder = folder.ranks.at(number),
                               .attempt = id,
                               .rank = number,
                               .world = folder.launch.world_size(),
                               .first_step = first_step,
                               .steps = steps,
                               .fate = options_.draw_fate(steps),
                               .on_output = [this] { pump_soon(milliseconds(20)); },
                               .on_end = [this, id, number] { on_process_end(id, number); }});
    Rank& rank = attempt.ranks.at(number);
    rank.report.set_state(v1::RANK_STATE_RUNNING);
    rank.report.set_pid(1000 + number);
    rewind(folder.ranks.at(number), rank);
    folder.processes[number]->start();
    report(rank);
  }
  if (attempt.stop) on_stop(id, *attempt.stop);
  if (attempt.forgotten) on_forget(id);
}

void SimulatedNode::fail_launch(const AttemptId& id, const std::string& why) {
  disk_.erase(id);
  attempts_.erase(id);
  v1::AgentMessage message;
  message.mutable_launch_failed()->set_job_id(id.job.str());
  message.mutable_launch_failed()->set_attempt(id.number);
  message.mutable_launch_failed()->set_reason(why);
  send(std::move(message), "launch failed: " + why);
}

// --- stopping and forgetting ---

void SimulatedNode::kill_all(const AttemptId& id) {
  const auto folder = disk_.find(id);
  if (folder == disk_.end()) return;
  const auto processes = folder->second.processes;
  for (const auto& [number, process] : processes) {
    options_.queue.after(milliseconds(2), [process] { process->kill(); });
  }
}

void SimulatedNode::on_stop(const AttemptId& id, Duration grace) {
  const auto found = attempts_.find(id);
  if (found == attempts_.end()) return;
  if (found->second.launching) {
    found->second.cancelled = true;
    found->second.stop = grace;
    return;
  }
  if (grace <= Duration::zero()) return kill_all(id);
  for (const auto& [number, process] : disk_.at(id).processes) process->terminate();
  later(grace, [this, id] {
    if (attempts_.contains(id)) kill_all(id);
  });
}

void SimulatedNode::on_forget(const AttemptId& id) {
  const auto found = attempts_.find(id);
  if (found == attempts_.end()) return;
  found->second.forgotten = true;
  if (found->second.launching) {
    found->second.cancelled = true;
    return;
  }
  kill_all(id);
  remove_if_over(id);
}

void SimulatedNode::remove_if_over(const AttemptId& id) {
  const auto found = attempts_.find(id);
  if (found == attempts_.end() || !found->second.forgotten || found->second.launching) return;
  for (const auto& [number, process] : disk_.at(id).processes) {
    if (process->running()) return;
  }
  options_.trace.add(options_.queue.elapsed(),
                     fmt::format("{} forgets {}", options_.name, id.str()));
  std::erase_if(uploads_, [&](const Upload& each) { return each.attempt == id; });
  disk_.erase(id);
  attempts_.erase(id);
}

}  // namespace lctl::simulation
