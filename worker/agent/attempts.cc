#include "worker/agent/agent.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <csignal>
#include <utility>

#include "base/log.h"
#include "base/printable_line.h"
#include "worker/agent/last_words.h"
#include "worker/agent/launch_check.h"

namespace lctl::agent {
namespace {

constexpr int kKilledExitCode = 128 + SIGKILL;
constexpr char kKeeperKilled[] = "its keeper was killed, and it with it";
constexpr char kNeverStarted[] = "the node daemon ended before it was started";
constexpr char kRebooted[] = "lost with a reboot of the node";

spdlog::logger& log() {
  static spdlog::logger& own = logger("agent");
  return own;
}

AttemptId attempt_id(const std::string& job, int attempt) { return {JobId(job), attempt}; }

// Its state before anything is known of a process.
v1::RankReport new_report(const AttemptId& id, const v1::RankAssignment& assigned) {
  v1::RankReport report;
  report.set_job_id(id.job.str());
  report.set_attempt(id.number);
  report.set_rank(assigned.rank());
  report.set_local_rank(assigned.local_rank());
  report.set_state(v1::RANK_STATE_LAUNCHING);
  return report;
}

}  // namespace

// ---- adoption

void Agent::adopt_all() {
  for (const AttemptId& id : RunFolder::list(options_.data_dir)) adopt(id);
}

void Agent::adopt(const AttemptId& id) {
  const RunFolder folder(options_.data_dir, id);
  std::string boot_id;
  const absl::StatusOr<v1::Launch> launch = folder.load(&boot_id);
  if (!launch.ok()) {
    log().warn("{}: {}; its folder is removed", id.str(), message_of(launch.status()));
    folder.remove();
    return;
  }
  Attempt& attempt = attempts_.try_emplace(id, folder, *launch, io_).first->second;
  attempt.rendezvous_port = folder.rendezvous_port();
  for (const v1::RankAssignment& assigned : launch->ranks()) {
    Rank& rank = attempt.ranks[assigned.rank()];
    rank.report = new_report(id, assigned);
    adopt_rank(id, attempt, rank, boot_id != boot_id_);
  }
  begin_measuring(id, attempt);
}

void Agent::adopt_rank(const AttemptId& id, Attempt& attempt, Rank& rank, bool rebooted) {
  const int number = rank.report.rank();
  rank.log_matches = attempt.folder.log_matches(number);
  forwarder_->add(id, number, attempt.folder, attempt.launch.spec());
  if (rebooted) {
    rank.report.set_lost_with_reboot(!attempt.folder.exit(number).has_value());
    conclude(id, rank, kRebooted);
    return;
  }
  const std::optional<RankProcess> process = attempt.folder.give_up(number);
  if (!process.has_value()) {
    conclude(id, rank, kNeverStarted);
    return;
  }
  rank.process = *process;
  rank.report.set_pid(process->rank);
  absl::StatusOr<Descriptor> keeper = open_process(process->keeper, process->keeper_start);
  if (!keeper.ok()) {
    on_keeper_ended(id, number);
    return;
  }
  rank.keeper = *std::move(keeper);
  rank.report.set_state(v1::RANK_STATE_RUNNING);
  log().info("{} rank {}: adopted, pid {}", id.str(), number, process->rank);
  hangs_.add(id, number, attempt.folder, *process, attempt.launch.spec().hang_after_ms());
  watch_end(id, rank, *rank.keeper);
}

// ---- what the server says

void Agent::on_message(const v1::ServerMessage& message) {
  switch (message.kind_case()) {
    case v1::ServerMessage::kLaunch:
      on_launch(message.launch());
      return;
    case v1::ServerMessage::kStop:
      log().info("{}.{}: asked to stop: {}", message.stop().job_id(), message.stop().attempt(),
                 message.stop().reason());
      on_stop(attempt_id(message.stop().job_id(), message.stop().attempt()),
              message.stop().grace_ms());
      return;
    case v1::ServerMessage::kDumpStacks:
      hangs_.dump(attempt_id(message.dump_stacks().job_id(), message.dump_stacks().attempt()));
      return;
    case v1::ServerMessage::kForget:
      on_forget(attempt_id(message.forget().job_id(), message.forget().attempt()));
      return;
    case v1::ServerMessage::kInjectFault:
      on_fault(message.inject_fault());
      return;
    default:
      return;  // of a newer server
  }
}

void Agent::on_launch(const v1::Launch& launch) {
  if (const absl::Status status = check_launch(launch); !status.ok()) {
    log().error("a launch is refused: {}", message_of(status));
    report_failed_launch(launch, status);
    return;
  }
  const AttemptId id = attempt_id(launch.job_id(), launch.attempt());
  if (Attempt* known = find(id); known != nullptr) {
    // Repeated after a reconnect: say again what the first one led to.
    if (known->rendezvous_port != 0) report_rendezvous(id, known->rendezvous_port);
    for (const auto& [number, rank] : known->ranks) report(rank);
    return;
  }
  Attempt& attempt =
      attempts_.try_emplace(id, RunFolder(options_.data_dir, id), launch, io_).first->second;
  for (const v1::RankAssignment& assigned : launch.ranks()) {
    attempt.ranks[assigned.rank()].report = new_report(id, assigned);
  }
  start_launch(id, attempt);
}

void Agent::start_launch(const AttemptId& id, Attempt& attempt) {
  attempt.launching = std::make_shared<Cancellation>();
  LaunchTools tools{.trainer = options_.trainer,
                    .keeper = options_.keeper,
                    .lease = options_.data_dir / kLeaseFile,
                    .address = options_.address,
                    .boot_id = boot_id_,
                    .cpus = options_.cpus,
                    .channel = channel_};
  boost::asio::post(launches_, [this, id, launch = attempt.launch, folder = attempt.folder,
                                tools = std::move(tools), cancellation = attempt.launching] {
    const auto on_listening = [&](int port) {
      boost::asio::post(io_, [this, id, port] { on_port(id, port); });
    };
    auto launched = std::make_shared<absl::StatusOr<Launched>>(
        launch_ranks(launch, folder, tools, on_listening, *cancellation));
    boost::asio::post(io_, [this, id, launched] { on_launched(id, *std::move(launched)); });
  });
}

void Agent::on_port(const AttemptId& id, int port) {
  if (Attempt* attempt = find(id); attempt != nullptr) attempt->rendezvous_port = port;
  report_rendezvous(id, port);
}

void Agent::on_launched(const AttemptId& id, absl::StatusOr<Launched> launched) {
  Attempt* attempt = find(id);
  if (attempt == nullptr) return;
  attempt->launching.reset();
  if (!launched.ok()) {
    log().error("{}: cannot be launched: {}", id.str(), message_of(launched.status()));
    attempt->folder.remove();
    report_failed_launch(attempt->launch, launched.status());
    attempts_.erase(id);
    check_waiting();
    return;
  }
  for (auto& [number, process] : launched->ranks) {
    Rank& rank = attempt->ranks[number];
    rank.process = process;
    rank.report.set_pid(process.rank);
    rank.report.set_state(v1::RANK_STATE_RUNNING);
    forwarder_->add(id, number, attempt->folder, attempt->launch.spec());
    if (absl::StatusOr<Descriptor> keeper = open_process(process.keeper, process.keeper_start);
        keeper.ok()) {
      rank.keeper = *std::move(keeper);
      log().info("{} rank {}: started, pid {}", id.str(), number, process.rank);
      hangs_.add(id, number, attempt->folder, process, attempt->launch.spec().hang_after_ms());
      report(rank);
      watch_end(id, rank, *rank.keeper);
    } else {
      on_keeper_ended(id, number);
    }
  }
  begin_measuring(id, *attempt);
  if (attempt->stop_ms.has_value()) on_stop(id, *attempt->stop_ms);
  if (attempt->forgotten) on_forget(id);
}

void Agent::on_stop(const AttemptId& id, std::int64_t grace_ms) {
  Attempt* attempt = find(id);
  if (attempt == nullptr) return;
  if (attempt->launching != nullptr) {
    attempt->launching->cancel();  // a long download is not waited for
    attempt->stop_ms = grace_ms;
    return;
  }
  signal_ranks(*attempt, grace_ms > 0 ? SIGTERM : SIGUSR1);
  if (grace_ms <= 0) return;
  attempt->kill_timer.expires_after(std::chrono::milliseconds(grace_ms));
  attempt->kill_timer.async_wait([this, id](const boost::system::error_code& error) {
    Attempt* late = error ? nullptr : find(id);
    if (late == nullptr) return;
    const bool alive = std::any_of(late->ranks.begin(), late->ranks.end(),
                                   [](const auto& each) { return each.second.keeper.has_value(); });
    if (alive) log().warn("{}: ranks that did not end in time are killed", id.str());
    signal_ranks(*late, SIGUSR1);
  });
}

void Agent::on_forget(const AttemptId& id) {
  Attempt* attempt = find(id);
  if (attempt == nullptr) return;
  attempt->forgotten = true;
  if (attempt->launching != nullptr) {
    attempt->launching->cancel();
    return;
  }
  signal_ranks(*attempt, SIGUSR1);
  remove_if_over(id);
}

// ---- what ranks do

// As long as the first rank that is here runs: what is measured is a stream of its own.
void Agent::begin_measuring(const AttemptId& id, const Attempt& attempt) {
  if (attempt.ranks.empty()) return;
  const auto& [first, carrier] = *attempt.ranks.begin();
  if (!carrier.keeper.has_value()) return;
  std::vector<NodeMeter::RankProcess> processes;
  for (const v1::RankAssignment& assigned : attempt.launch.ranks()) {
    const RankProcess& process = attempt.ranks.at(assigned.rank()).process;
    NodeMeter::RankProcess& measured = processes.emplace_back();
    measured.rank = assigned.rank();
    measured.pid = process.rank;
    measured.start = process.rank_start;
    if (assigned.device_kind() == "cuda")
      measured.gpu = static_cast<unsigned>(assigned.device_index());
  }
  meter_.add(id, attempt.folder.node_log(first), std::move(processes));
}

void Agent::watch_end(const AttemptId& id, Rank& rank, const Descriptor& process) {
  // Asio closes its own copy.
  rank.watch.emplace(io_, fcntl(process.get(), F_DUPFD_CLOEXEC, 0));
  rank.watch->async_wait(
      boost::asio::posix::descriptor_base::wait_read,
      [this, id, number = rank.report.rank()](const boost::system::error_code& error) {
        if (!error) on_keeper_ended(id, number);
      });
}

// Of a keeper, or of a rank that was left without one.
void Agent::on_keeper_ended(const AttemptId& id, int number) {
  Rank* rank = find(id, number);
  if (rank == nullptr) return;
  // Our own child leaves a zombie; an adopted one belongs to init.
  waitpid(rank->process.keeper, nullptr, WNOHANG);
  rank->keeper.reset();
  rank->watch.reset();
  if (!find(id)->folder.exit(number).has_value()) {
    // The kernel kills a rank with its keeper, but not what the rank has started, and not in no
    // time.
    const auto alive = open_process(rank->process.rank, rank->process.rank_start);
    if (alive.ok() && !has_ended(*alive)) {
      signal_process(*alive, SIGKILL).IgnoreError();
      kill(-rank->process.rank, SIGKILL);
      watch_end(id, *rank, *alive);
      return;
    }
  }
  conclude(id, *rank, kKeeperKilled);
  remove_if_over(id);
}

// The rank's process is gone: says how, from its exit file, or `without_exit_file`.
void Agent::conclude(const AttemptId& id, Rank& rank, const char* without_exit_file) {
  const RunFolder& folder = find(id)->folder;
  const int number = rank.report.rank();
  if (const auto exit = folder.exit(number); exit.has_value()) {
    rank.report.set_lease_ran_out(exit->lease_ms > 0);
    set_exited(id, rank, exit->exit_code(), describe_exit(*exit, folder.rank(number) / "stderr"));
  } else {
    set_exited(id, rank, kKilledExitCode, without_exit_file);
  }
}

void Agent::set_exited(const AttemptId& id, Rank& rank, int exit_code, std::string message) {
  rank.report.set_state(v1::RANK_STATE_EXITED);
  rank.report.set_exit_code(exit_code);
  rank.report.set_message(std::move(message));
  log().info("{} rank {}: ended with {}{}{}", id.str(), rank.report.rank(), exit_code,
             rank.report.message().empty() ? "" : ": ", rank.report.message());
  report(rank);
  hangs_.remove(id, rank.report.rank());
  // Before the forwarder looks for the end of what was written.
  if (rank.report.rank() == find(id)->ranks.begin()->first) meter_.remove(id);
  forwarder_->process_ended(id, rank.report.rank());
  check_waiting();
}

void Agent::on_checkpoint(const AttemptId& id, int number, const v1::CheckpointWritten& written,
                          std::int64_t time_us) {
  Rank* rank = find(id, number);
  if (rank == nullptr) return;
  // The name comes from a rank: it must not lead out of the stage folder.
  if (written.file().empty() || written.file().find('/') != std::string::npos ||
      written.file() == "..") {
    log().error("{} rank {}: a checkpoint with the impossible file name '{}' is ignored", id.str(),
                number, written.file());
    return;
  }
  ++rank->uploads;
  const Attempt& attempt = *find(id);
  uploader_->add({.attempt = id,
                  .rank = number,
                  .written = written,
                  .time_us = time_us,
                  .file = attempt.folder.stage(number) / written.file(),
                  // Which of them are the first past so many steps is the store's to say.
                  .even_if_overtaken = attempt.launch.spec().retention().keep_every() > 0});
}

void Agent::on_log_match(const AttemptId& id, int number, int policy, const std::string& line) {
  Rank* rank = find(id, number);
  if (rank == nullptr) return;
  log().info("{} rank {}: log policy {} matches: {}", id.str(), number, policy, line);
  const auto kept = rank->log_matches.insert_or_assign(policy, line).first;
  report_match(*rank, *kept);
}

void Agent::on_uploaded(const Upload& upload, const absl::Status& status) {
  Rank* rank = find(upload.attempt, upload.rank);
  if (rank == nullptr) return;
  if (!status.ok()) {
    const absl::Status told =
        find(upload.attempt)
            ->folder.add_note(upload.rank, fmt::format("the checkpoint {} is not in the store: {}",
                                                       upload.written.file(),
                                                       printable_line(message_of(status))));
    if (!told.ok()) log().warn("{}", message_of(told));
  }
  --rank->uploads;
  settle(upload.attempt, upload.rank);
}

void Agent::settle(const AttemptId& id, int number) {
  Rank* rank = find(id, number);
  if (rank == nullptr || rank->report.state() != v1::RANK_STATE_EXITED || !rank->forwarded ||
      rank->uploads > 0)
    return;
  rank->report.set_state(v1::RANK_STATE_DRAINED);
  report(*rank);
  check_waiting();
}

void Agent::signal_ranks(Attempt& attempt, int signal) {
  for (auto& [number, rank] : attempt.ranks) {
    if (rank.keeper.has_value()) signal_process(*rank.keeper, signal).IgnoreError();
  }
}

void Agent::remove_if_over(const AttemptId& id) {
  Attempt* attempt = find(id);
  if (attempt == nullptr || !attempt->forgotten || attempt->launching != nullptr) return;
  for (const auto& [number, rank] : attempt->ranks) {
    if (rank.watch.has_value()) return;
  }
  forwarder_->remove(id);
  uploader_->drop(id);
  attempt->folder.remove();
  attempts_.erase(id);
  log().info("{}: forgotten", id.str());
  check_waiting();
}

}  // namespace lctl::agent
