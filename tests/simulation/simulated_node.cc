// The agent's life, its session, and how attempts end. node_launching.cc has how they begin and are
// stopped, node_forwarding.cc the way up.
#include "tests/simulation/simulated_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/version.h"
#include "tests/simulation/simulated_server.h"

namespace lctl::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kHeartbeat = seconds(2);
constexpr int kExitKilled = 137;

AttemptId attempt_of(const std::string& job, int number) { return {JobId(job), number}; }

}  // namespace

SimulatedNode::SimulatedNode(Options options)
    : options_(std::move(options)),
      id_("nodenodenodenod" + std::string(1, static_cast<char>('a' + options_.number))) {}

void SimulatedNode::later(Duration delay, std::function<void()> work) {
  options_.queue.after(delay, [this, life = life_, work = std::move(work)] {
    if (up_ && life == life_) work();
  });
}

SimulatedNode::Rank* SimulatedNode::find(const AttemptId& id, int rank) {
  const auto attempt = attempts_.find(id);
  if (attempt == attempts_.end()) return nullptr;
  const auto found = attempt->second.ranks.find(rank);
  return found == attempt->second.ranks.end() ? nullptr : &found->second;
}

// --- life ---

void SimulatedNode::start_agent() {
  if (std::exchange(up_, true)) return;
  ++life_;
  options_.trace.add(options_.queue.elapsed(),
                     fmt::format("the agent of {} starts", options_.name));
  adopt_all();
  connect();
  open_ingest();
  upload_soon(milliseconds(1));
}

void SimulatedNode::crash_agent() {
  if (!std::exchange(up_, false)) return;
  options_.trace.add(options_.queue.elapsed(),
                     fmt::format("the agent of {} crashes", options_.name));
  if (session_) options_.transport.close_by_node(session_, false);
  if (ingest_) options_.transport.close_by_node(ingest_, false);
  session_.reset();
  ingest_.reset();
  attempts_.clear();
  uploads_.clear();
  registered_ = uploading_ = pump_is_due_ = false;
  // Half-done launches: a folder without a started rank is given up at adoption.
}

// What was written last may not have reached the disk; checkpoints were synced.
void SimulatedNode::power_off() {
  crash_agent();
  options_.trace.add(options_.queue.elapsed(), fmt::format("{} goes down", options_.name));
  ++boot_;
  for (auto& [id, folder] : disk_) {
    for (auto& [number, process] : folder.processes) {
      if (!process->running()) continue;
      process->power_off();
      RankFolder& rank = folder.ranks.at(number);
      const std::size_t lost = options_.random.below(3);
      for (std::size_t i = 0; i < lost && !rank.spool.empty(); ++i) {
        if (rank.spool.back().end_offset() <= rank.acknowledged_events) break;
        rank.spool.pop_back();
      }
      options_.invariants.written(id, number).events_end =
          rank.spool.empty() ? 0 : rank.spool_end();
    }
  }
}

void SimulatedNode::kill_some_rank() {
  std::vector<std::shared_ptr<SimulatedRank>> running;
  for (auto& [id, folder] : disk_) {
    for (auto& [number, process] : folder.processes) {
      if (process->running()) running.push_back(process);
    }
  }
  if (!running.empty()) options_.random.pick(running)->kill();
}

void SimulatedNode::match_some_rank(int policy) {
  for (auto& [id, attempt] : attempts_) {
    for (auto& [number, rank] : attempt.ranks) {
      if (rank.report.state() != v1::RANK_STATE_RUNNING) continue;
      disk_.at(id).ranks.at(number).matches[policy] = "a line";
      report_all();
      return;
    }
  }
}

// --- session ---

void SimulatedNode::connect() {
  session_ = options_.transport.open(options_.number, StreamKind::kSession);
  registered_ = false;
  options_.transport.up(session_, "register",
                        [stream = session_, message = registration()](SimulatedServer& server) {
                          server.session_message(stream, message);
                        });
}

void SimulatedNode::reconnect_later() {
  failures_ = registered_ ? 0 : std::min(failures_ + 1, 6);
  const Duration pause = std::min<Duration>(milliseconds(100) * (1 << failures_), seconds(5));
  session_.reset();
  registered_ = false;
  later(options_.random.between(pause / 2, pause * 3 / 2), [this] { connect(); });
}

void SimulatedNode::stream_ended(const StreamPtr& stream) {
  if (!up_) return;
  if (stream == session_) {
    reconnect_later();
  } else if (stream == ingest_) {
    ingest_.reset();
    later(options_.random.between(milliseconds(50), seconds(3)), [this] { open_ingest(); });
  }
}

v1::AgentMessage SimulatedNode::registration() const {
  v1::AgentMessage message;
  v1::Register& registration = *message.mutable_register_();
  registration.set_node_id(id_.str());
  registration.set_name(options_.name);
  registration.set_address(options_.name + ".example");
  registration.set_version(kVersion);
  registration.set_boot_id(fmt::format("boot-{}", boot_));
  registration.set_cpus(options_.devices);
  for (int i = 0; i < options_.devices; ++i) {
    v1::Device& device = *registration.add_devices();
    device.set_index(i);
    device.set_kind("cpu");
  }
  for (const auto& [id, attempt] : attempts_) {
    for (const auto& [number, rank] : attempt.ranks) *registration.add_ranks() = rank.report;
  }
  return message;
}

void SimulatedNode::beat(const StreamPtr& stream) {
  if (stream != session_) return;
  v1::AgentMessage message;
  message.mutable_heartbeat()->set_load_1m(1);
  options_.transport.up(session_, "heartbeat", [stream, message](SimulatedServer& server) {
    server.session_message(stream, message);
  });
  later(kHeartbeat, [this, stream] { beat(stream); });
}

// Not registered: dropped, the next registration tells it all.
void SimulatedNode::send(v1::AgentMessage message, const std::string& what) {
  if (!registered_) return;
  options_.transport.up(session_, what,
                        [stream = session_, message = std::move(message)](SimulatedServer& server) {
                          server.session_message(stream, message);
                        });
}

void SimulatedNode::report(const Rank& rank) {
  v1::AgentMessage message;
  *message.mutable_rank_report() = rank.report;
  send(std::move(message),
       fmt::format("rank {} of {}.{} is {}", rank.report.rank(), rank.report.job_id(),
                   rank.report.attempt(), v1::RankState_Name(rank.report.state())));
}

void SimulatedNode::report_all() {
  for (const auto& [id, attempt] : attempts_) {
    for (const auto& [number, rank] : attempt.ranks) {
      const auto folder = disk_.find(id);
      if (folder != disk_.end()) {
        for (const auto& [policy, line] : folder->second.ranks[number].matches) {
          v1::AgentMessage message;
          message.mutable_log_match()->set_job_id(id.job.str());
          message.mutable_log_match()->set_attempt(id.number);
          message.mutable_log_match()->set_rank(number);
          message.mutable_log_match()->set_policy(policy);
          message.mutable_log_match()->set_line(line);
          send(std::move(message), fmt::format("policy {} matches", policy));
        }
      }
      report(rank);
    }
  }
}

void SimulatedNode::session_message(const StreamPtr& stream, const v1::ServerMessage& message) {
  if (!up_ || stream != session_) return;
  switch (message.kind_case()) {
    case v1::ServerMessage::kRegistered:
      registered_ = true;
      failures_ = 0;
      report_all();
      beat(stream);
      return;
    case v1::ServerMessage::kLaunch:
      return on_launch(message.launch());
    case v1::ServerMessage::kStop:
      return on_stop(attempt_of(message.stop().job_id(), message.stop().attempt()),
                     milliseconds(message.stop().grace_ms()));
    case v1::ServerMessage::kForget:
      return on_forget(attempt_of(message.forget().job_id(), message.forget().attempt()));
    default:
      return;
  }
}

// --- ends ---

void SimulatedNode::on_process_end(const AttemptId& id, int number) {
  // The agent watches the keeper; when it is not there it finds the exit status at its start.
  later(milliseconds(1), [this, id, number] {
    if (find(id, number) == nullptr) return;
    set_exited(id, number, disk_.at(id).ranks.at(number).exit.value_or(kExitKilled), false);
    remove_if_over(id);
  });
}

void SimulatedNode::set_exited(const AttemptId& id, int number, int code, bool lost_with_reboot) {
  Rank& rank = *find(id, number);
  rank.report.set_state(v1::RANK_STATE_EXITED);
  rank.report.set_exit_code(code);
  rank.report.set_lost_with_reboot(lost_with_reboot);
  rank.ended = true;
  report(rank);
  pump_soon(milliseconds(1));
}

void SimulatedNode::settle(const AttemptId& id, int number) {
  Rank* rank = find(id, number);
  if (rank == nullptr || rank->report.state() != v1::RANK_STATE_EXITED || !rank->forwarded ||
      rank->uploads > 0) {
    return;
  }
  rank->report.set_state(v1::RANK_STATE_DRAINED);
  report(*rank);
}

// --- adoption ---

void SimulatedNode::adopt_all() {
  for (auto& [id, folder] : disk_) {
    Attempt& attempt = attempts_[id];
    const bool rebooted = folder.boot != boot_;
    for (const v1::RankAssignment& assigned : folder.launch.ranks()) {
      const int number = assigned.rank();
      RankFolder& files = folder.ranks.at(number);
      Rank& rank = attempt.ranks[number];
      rank.report.set_job_id(id.job.str());
      rank.report.set_attempt(id.number);
      rank.report.set_rank(number);
      rank.report.set_local_rank(assigned.local_rank());
      rank.report.set_state(v1::RANK_STATE_RUNNING);
      rewind(files, rank);
      announce_acknowledged(id, number);
      if (rebooted) {
        set_exited(id, number, files.exit.value_or(kExitKilled), !files.exit.has_value());
      } else if (!files.started) {
        set_exited(id, number, kExitKilled, false);  // and never will be
      } else if (files.exit) {
        set_exited(id, number, *files.exit, false);
      }
    }
  }
}

}  // namespace lctl::simulation
