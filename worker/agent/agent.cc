#include "worker/agent/agent.h"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <future>
#include <mutex>
#include <utility>

#include "base/log.h"
#include "base/version.h"
#include "worker/agent/devices.h"
#include "worker/agent/node_identity.h"

namespace lctl::agent {
namespace {

constexpr int kKilledExitCode = 128 + SIGKILL;

spdlog::logger& log() {
  static spdlog::logger& own = logger("agent");
  return own;
}

AttemptId attempt_id(const std::string& job, int attempt) { return {JobId(job), attempt}; }

// Messages stay small, and pings notice a silent peer within seconds.
std::shared_ptr<grpc::Channel> make_channel(const std::string& server) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(16 << 20);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments);
}

// The last line that a failed rank wrote to stderr: more telling than its exit code.
std::string last_words(const std::filesystem::path& stderr_file) {
  std::ifstream in(stderr_file, std::ios::binary | std::ios::ate);
  if (!in) return "";
  const auto size = static_cast<std::int64_t>(in.tellg());
  in.seekg(std::max<std::int64_t>(0, size - 4096));
  std::string text((std::istreambuf_iterator<char>(in)), {});
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  const std::size_t line = text.rfind('\n');
  if (line != std::string::npos) text.erase(0, line + 1);
  return text.substr(0, 500);
}

std::string describe(const RankExit& exit, const std::filesystem::path& stderr_file) {
  if (exit.signaled) return fmt::format("killed by signal {} ({})", exit.number, strsignal(exit.number));
  return exit.number == 0 ? "" : last_words(stderr_file);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> Agent::start(AgentOptions options) {
  LCTL_RETURN_IF_ERROR(lock_data_dir(options.data_dir));
  LCTL_ASSIGN_OR_RETURN(const NodeId id, load_or_make_node_id(options.data_dir));
  std::unique_ptr<Agent> agent(new Agent(std::move(options), id));
  agent->adopt_all();
  agent->connect();
  return agent;
}

Agent::Agent(AgentOptions options, NodeId node_id)
    : options_(std::move(options)),
      node_id_(std::move(node_id)),
      boot_id_(kernel_boot_id()),
      channel_(make_channel(options_.server)),
      work_(boost::asio::make_work_guard(io_)) {
  uploader_ = std::make_unique<Uploader>(channel_, [this](const Upload& upload, const absl::Status& /*status*/) {
    boost::asio::post(io_, [this, id = upload.attempt, rank = upload.rank] {
      if (Rank* found = find(id, rank); found != nullptr) --found->uploads;
      settle(id, rank);
    });
  });
  Forwarder::Callbacks callbacks;
  callbacks.on_checkpoint = [this](const AttemptId& id, int rank, const v1::CheckpointWritten& written,
                                   std::int64_t time_us) {
    boost::asio::post(io_, [this, id, rank, written, time_us] { on_checkpoint(id, rank, written, time_us); });
  };
  callbacks.on_forwarded = [this](const AttemptId& id, int rank) {
    boost::asio::post(io_, [this, id, rank] {
      if (Rank* found = find(id, rank); found != nullptr) found->forwarded = true;
      settle(id, rank);
    });
  };
  callbacks.on_fenced = [this](const AttemptId& id) {
    boost::asio::post(io_, [this, id] { on_forget(id); });
  };
  forwarder_ = std::make_unique<Forwarder>(channel_, std::move(callbacks));
}

Agent::~Agent() {
  // Those that post into the strand go first, while it still runs.
  session_.reset();
  launches_.join();
  forwarder_.reset();
  uploader_.reset();
  work_.reset();
  io_.stop();
  if (strand_thread_.joinable()) strand_thread_.join();
}

void Agent::connect() {
  strand_thread_ = std::thread([this] { io_.run(); });
  Session::Callbacks callbacks;
  callbacks.registration = [this] { return registration(); };
  callbacks.heartbeat = [this] { return heartbeat(); };
  callbacks.on_message = [this](const v1::ServerMessage& message) {
    boost::asio::post(io_, [this, message] { on_message(message); });
  };
  callbacks.on_connected = [this] { boost::asio::post(io_, [this] { report_all(); }); };
  session_ = std::make_unique<Session>(channel_, std::move(callbacks));
}

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
  for (const v1::RankAssignment& assigned : launch->ranks()) {
    Rank& rank = attempt.ranks[assigned.rank()];
    rank.report.set_job_id(id.job.str());
    rank.report.set_attempt(id.number);
    rank.report.set_rank(assigned.rank());
    rank.report.set_local_rank(assigned.local_rank());
    adopt_rank(id, attempt, rank, boot_id != boot_id_);
  }
}

void Agent::adopt_rank(const AttemptId& id, Attempt& attempt, Rank& rank, bool rebooted) {
  const int number = rank.report.rank();
  forwarder_->add(id, number, attempt.folder);
  const std::optional<RankProcess> process = attempt.folder.process(number);
  if (process.has_value() && !rebooted) {
    rank.process = *process;
    rank.report.set_pid(process->rank);
    if (absl::StatusOr<Descriptor> keeper = open_process(process->keeper, process->keeper_start); keeper.ok()) {
      rank.keeper = *std::move(keeper);
      rank.report.set_state(v1::RANK_STATE_RUNNING);
      log().info("{} rank {}: adopted, pid {}", id.str(), number, process->rank);
      watch_keeper(id, rank);
      return;
    }
  }
  if (const auto exit = attempt.folder.exit(number); exit.has_value()) {
    set_exited(id, rank, exit->exit_code(), describe(*exit, attempt.folder.rank(number) / "stderr"));
  } else if (rebooted) {
    set_exited(id, rank, kKilledExitCode, "lost with a reboot of the node");
  } else {
    set_exited(id, rank, kKilledExitCode, process.has_value() ? "its keeper was killed, and it with it"
                                                              : "the node daemon ended before it was started");
  }
}

// ---- what the server says

void Agent::on_message(const v1::ServerMessage& message) {
  switch (message.kind_case()) {
    case v1::ServerMessage::kLaunch:
      on_launch(message.launch());
      return;
    case v1::ServerMessage::kStop:
      log().info("{}.{}: asked to stop: {}", message.stop().job_id(), message.stop().attempt(), message.stop().reason());
      on_stop(attempt_id(message.stop().job_id(), message.stop().attempt()), message.stop().grace_ms());
      return;
    case v1::ServerMessage::kForget:
      on_forget(attempt_id(message.forget().job_id(), message.forget().attempt()));
      return;
    default:
      return;  // of a newer server
  }
}

void Agent::on_launch(const v1::Launch& launch) {
  const AttemptId id = attempt_id(launch.job_id(), launch.attempt());
  if (Attempt* known = find(id); known != nullptr) {
    // Repeated after a reconnect: say again what the first one led to.
    if (known->rendezvous_port != 0) {
      v1::AgentMessage message;
      message.mutable_rendezvous_ready()->set_job_id(launch.job_id());
      message.mutable_rendezvous_ready()->set_attempt(launch.attempt());
      message.mutable_rendezvous_ready()->set_port(known->rendezvous_port);
      session_->send(std::move(message));
    }
    for (const auto& [number, rank] : known->ranks) report(rank);
    return;
  }
  Attempt& attempt = attempts_.try_emplace(id, RunFolder(options_.data_dir, id), launch, io_).first->second;
  attempt.launching = true;
  for (const v1::RankAssignment& assigned : launch.ranks()) {
    Rank& rank = attempt.ranks[assigned.rank()];
    rank.report.set_job_id(launch.job_id());
    rank.report.set_attempt(launch.attempt());
    rank.report.set_rank(assigned.rank());
    rank.report.set_local_rank(assigned.local_rank());
    rank.report.set_state(v1::RANK_STATE_LAUNCHING);
  }
  LaunchTools tools{options_.trainer, options_.keeper, options_.address, boot_id_, options_.cpus, channel_};
  boost::asio::post(launches_, [this, id, launch, folder = attempt.folder, tools = std::move(tools)] {
    const auto on_port = [&](int port) {
      boost::asio::post(io_, [this, id, port] {
        if (Attempt* found = find(id); found != nullptr) found->rendezvous_port = port;
        v1::AgentMessage message;
        message.mutable_rendezvous_ready()->set_job_id(id.job.str());
        message.mutable_rendezvous_ready()->set_attempt(id.number);
        message.mutable_rendezvous_ready()->set_port(port);
        session_->send(std::move(message));
      });
    };
    auto launched = std::make_shared<absl::StatusOr<Launched>>(launch_ranks(launch, folder, tools, on_port));
    boost::asio::post(io_, [this, id, launched] { on_launched(id, *std::move(launched)); });
  });
}

void Agent::on_launched(const AttemptId& id, absl::StatusOr<Launched> launched) {
  Attempt* attempt = find(id);
  if (attempt == nullptr) return;
  attempt->launching = false;
  if (!launched.ok()) {
    log().error("{}: cannot be launched: {}", id.str(), message_of(launched.status()));
    v1::AgentMessage message;
    message.mutable_launch_failed()->set_job_id(id.job.str());
    message.mutable_launch_failed()->set_attempt(id.number);
    message.mutable_launch_failed()->set_reason(std::string(message_of(launched.status())));
    message.mutable_launch_failed()->set_permanent(is_permanent(launched.status()));
    session_->send(std::move(message));
    attempt->folder.remove();
    attempts_.erase(id);
    return;
  }
  for (auto& [number, process] : launched->ranks) {
    Rank& rank = attempt->ranks[number];
    rank.process = process;
    rank.report.set_pid(process.rank);
    rank.report.set_state(v1::RANK_STATE_RUNNING);
    forwarder_->add(id, number, attempt->folder);
    if (absl::StatusOr<Descriptor> keeper = open_process(process.keeper, process.keeper_start); keeper.ok()) {
      rank.keeper = *std::move(keeper);
      log().info("{} rank {}: started, pid {}", id.str(), number, process.rank);
      report(rank);
      watch_keeper(id, rank);
    } else {
      on_keeper_ended(id, number);
    }
  }
  if (attempt->stop_ms.has_value()) on_stop(id, *attempt->stop_ms);
  if (attempt->forgotten) on_forget(id);
}

void Agent::on_stop(const AttemptId& id, std::int64_t grace_ms) {
  Attempt* attempt = find(id);
  if (attempt == nullptr) return;
  if (attempt->launching) {
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
                                   [](const auto& entry) { return entry.second.keeper.has_value(); });
    if (alive) log().warn("{}: ranks that did not end in time are killed", id.str());
    signal_ranks(*late, SIGUSR1);
  });
}

void Agent::on_forget(const AttemptId& id) {
  Attempt* attempt = find(id);
  if (attempt == nullptr) return;
  attempt->forgotten = true;
  if (attempt->launching) return;
  signal_ranks(*attempt, SIGUSR1);
  remove_if_over(id);
}

// ---- what ranks do

void Agent::watch_keeper(const AttemptId& id, Rank& rank) {
  // Asio closes its own copy.
  rank.watch.emplace(io_, dup(rank.keeper->get()));
  rank.watch->async_wait(boost::asio::posix::descriptor_base::wait_read,
                         [this, id, number = rank.report.rank()](const boost::system::error_code& error) {
                           if (!error) on_keeper_ended(id, number);
                         });
}

void Agent::on_keeper_ended(const AttemptId& id, int number) {
  Rank* rank = find(id, number);
  if (rank == nullptr) return;
  // Our own child leaves a zombie; an adopted one belongs to init.
  waitpid(rank->process.keeper, nullptr, WNOHANG);
  rank->keeper.reset();
  rank->watch.reset();
  const RunFolder& folder = find(id)->folder;
  if (const auto exit = folder.exit(number); exit.has_value()) {
    set_exited(id, *rank, exit->exit_code(), describe(*exit, folder.rank(number) / "stderr"));
  } else {
    set_exited(id, *rank, kKilledExitCode, "its keeper was killed, and it with it");
  }
  remove_if_over(id);
}

void Agent::set_exited(const AttemptId& id, Rank& rank, int exit_code, std::string message) {
  rank.report.set_state(v1::RANK_STATE_EXITED);
  rank.report.set_exit_code(exit_code);
  rank.report.set_message(std::move(message));
  log().info("{} rank {}: ended with {}{}{}", id.str(), rank.report.rank(), exit_code,
             rank.report.message().empty() ? "" : ": ", rank.report.message());
  report(rank);
  forwarder_->process_ended(id, rank.report.rank());
}

void Agent::on_checkpoint(const AttemptId& id, int number, const v1::CheckpointWritten& written, std::int64_t time_us) {
  Rank* rank = find(id, number);
  if (rank == nullptr) return;
  // The name comes from a rank: it must not lead out of the stage folder.
  if (written.file().empty() || written.file().find('/') != std::string::npos || written.file() == "..") {
    log().error("{} rank {}: a checkpoint with the impossible file name '{}' is ignored", id.str(), number, written.file());
    return;
  }
  ++rank->uploads;
  uploader_->add({id, number, written, time_us, find(id)->folder.stage(number) / written.file()});
}

void Agent::settle(const AttemptId& id, int number) {
  Rank* rank = find(id, number);
  if (rank == nullptr || rank->report.state() != v1::RANK_STATE_EXITED || !rank->forwarded || rank->uploads > 0) return;
  rank->report.set_state(v1::RANK_STATE_DRAINED);
  report(*rank);
}

void Agent::signal_ranks(Attempt& attempt, int signal) {
  for (auto& [number, rank] : attempt.ranks) {
    if (rank.keeper.has_value()) signal_process(*rank.keeper, signal).IgnoreError();
  }
}

void Agent::remove_if_over(const AttemptId& id) {
  Attempt* attempt = find(id);
  if (attempt == nullptr || !attempt->forgotten || attempt->launching) return;
  for (const auto& [number, rank] : attempt->ranks) {
    if (rank.keeper.has_value()) return;
  }
  forwarder_->remove(id);
  uploader_->drop(id);
  attempt->folder.remove();
  attempts_.erase(id);
  log().info("{}: forgotten", id.str());
}

// ---- telling

void Agent::report(const Rank& rank) {
  if (session_ == nullptr) return;  // during adoption: the registration will tell
  v1::AgentMessage message;
  *message.mutable_rank_report() = rank.report;
  session_->send(std::move(message));
}

void Agent::report_all() {
  for (const auto& [id, attempt] : attempts_) {
    for (const auto& [number, rank] : attempt.ranks) report(rank);
  }
}

v1::Register Agent::registration() {
  std::promise<v1::Register> made;
  boost::asio::post(io_, [&] {
    v1::Register registration;
    registration.set_node_id(node_id_.str());
    registration.set_name(options_.name);
    registration.set_address(options_.address);
    registration.set_version(kVersion);
    registration.set_boot_id(boot_id_);
    for (const v1::Device& device : options_.devices) *registration.add_devices() = device;
    registration.set_cpus(options_.cpus);
    registration.set_memory_bytes(options_.memory_bytes);
    for (const auto& [id, attempt] : attempts_) {
      for (const auto& [number, rank] : attempt.ranks) *registration.add_ranks() = rank.report;
    }
    made.set_value(std::move(registration));
  });
  return made.get_future().get();
}

v1::Heartbeat Agent::heartbeat() const {
  v1::Heartbeat beat;
  double load = 0;
  if (getloadavg(&load, 1) == 1) beat.set_load_1m(load);
  beat.set_memory_available_bytes(available_memory());
  struct statvfs disk = {};
  if (statvfs(options_.data_dir.c_str(), &disk) == 0) {
    beat.set_disk_available_bytes(static_cast<std::int64_t>(disk.f_bavail * disk.f_frsize));
  }
  return beat;
}

Agent::Attempt* Agent::find(const AttemptId& id) {
  const auto found = attempts_.find(id);
  return found == attempts_.end() ? nullptr : &found->second;
}

Agent::Rank* Agent::find(const AttemptId& id, int rank) {
  Attempt* attempt = find(id);
  if (attempt == nullptr) return nullptr;
  const auto found = attempt->ranks.find(rank);
  return found == attempt->ranks.end() ? nullptr : &found->second;
}

void Agent::stop_ranks(Duration patience) {
  std::promise<void> asked;
  const auto grace_ms = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count() * 3 / 4;
  boost::asio::post(io_, [&] {
    for (auto& [id, attempt] : attempts_) on_stop(id, grace_ms);
    asked.set_value();
  });
  asked.get_future().wait();
  // Nothing signals "all drained" as such; looking a few times a second is enough on the way out.
  std::mutex mutex;
  std::condition_variable never;
  const MonotonicTime end = system_clock().monotonic_now() + patience;
  while (system_clock().monotonic_now() < end) {
    std::promise<bool> over;
    boost::asio::post(io_, [&] {
      bool all = true;
      for (const auto& [id, attempt] : attempts_) {
        for (const auto& [number, rank] : attempt.ranks) all = all && rank.report.state() == v1::RANK_STATE_DRAINED;
      }
      over.set_value(all);
    });
    if (over.get_future().get()) return;
    std::unique_lock lock(mutex);
    never.wait_for(lock, std::chrono::milliseconds(50));
  }
}

}  // namespace lctl::agent
