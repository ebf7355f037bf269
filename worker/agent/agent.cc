#include "worker/agent/agent.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "base/boot_time.h"
#include "base/printable_line.h"
#include "base/version.h"
#include "worker/agent/connection.h"
#include "worker/agent/devices.h"
#include "worker/agent/measuring/host_reading.h"
#include "worker/agent/node_identity.h"
#include "worker/agent/server_probe.h"

namespace lctl::agent {
namespace {

// For the last of what stopped ranks wrote to arrive; what does not is sent after the next start.
constexpr std::chrono::seconds kDrainPatience{5};
// A registration is one message of bounded size; report_all() tells the rest.
constexpr int kMaxMatchesRegistered = 2'000;
// For the server's host to take or refuse a connection.
constexpr std::chrono::seconds kProbePatience{2};
// For killed processes to be gone.
constexpr std::chrono::seconds kKillPatience{5};

v1::LogMatch to_message(const v1::RankReport& rank, const LogMatches::value_type& match) {
  v1::LogMatch message;
  message.set_job_id(rank.job_id());
  message.set_attempt(rank.attempt());
  message.set_rank(rank.rank());
  message.set_policy(match.first);
  message.set_line(match.second);
  return message;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> Agent::start(AgentOptions options) {
  LCTL_RETURN_IF_ERROR(lock_data_dir(options.data_dir));
  LCTL_ASSIGN_OR_RETURN(const NodeId id, load_or_make_node_id(options.data_dir));
  const auto refused = [server = options.server] {
    return probe_server(server, kProbePatience) == ServerAnswer::kRefuses;
  };
  LCTL_ASSIGN_OR_RETURN(auto lease, Lease::open({.file = options.data_dir / kLeaseFile,
                                                 .refused = refused,
                                                 .now = time_since_boot}));
  std::unique_ptr<Agent> agent(new Agent(std::move(options), id, std::move(lease)));
  agent->adopt_all();
  agent->connect();
  return agent;
}

Agent::Agent(AgentOptions options, NodeId node_id, std::unique_ptr<Lease> lease)
    : options_(std::move(options)),
      node_id_(std::move(node_id)),
      boot_id_(kernel_boot_id()),
      channel_(make_channel(options_.server)),
      work_(boost::asio::make_work_guard(io_)),
      hangs_(io_, system_clock(),
             [this](const v1::RankStalled& stalled) { report_stall(stalled); }),
      lease_(std::move(lease)),
      meter_({.data_dir = options_.data_dir,
              .node = options_.name,
              .gpu_library = options_.gpu_library,
              .every = options_.measure_every}) {
  uploader_ = std::make_unique<Uploader>(
      channel_,
      [this](const Upload& upload, const absl::Status& status) {
        boost::asio::post(io_, [this, upload, status] { on_uploaded(upload, status); });
      },
      partition_);
  Forwarder::Callbacks callbacks;
  callbacks.on_checkpoint = [this](const AttemptId& id, int rank,
                                   const v1::CheckpointWritten& written, std::int64_t time_us) {
    boost::asio::post(
        io_, [this, id, rank, written, time_us] { on_checkpoint(id, rank, written, time_us); });
  };
  callbacks.on_forwarded = [this](const AttemptId& id, int rank) {
    boost::asio::post(io_, [this, id, rank] {
      if (Rank* found = find(id, rank); found != nullptr) found->forwarded = true;
      settle(id, rank);
    });
  };
  callbacks.on_log_match = [this](const AttemptId& id, int rank, int policy,
                                  const std::string& line) {
    boost::asio::post(io_,
                      [this, id, rank, policy, line] { on_log_match(id, rank, policy, line); });
  };
  callbacks.on_fenced = [this](const AttemptId& id) {
    boost::asio::post(io_, [this, id] { on_forget(id); });
  };
  forwarder_ = std::make_unique<Forwarder>(channel_, std::move(callbacks), partition_);
}

Agent::~Agent() {
  gpu_watch_.reset();
  // Those that wait for the strand end while it still runs; then the strand, which uses all the
  // others.
  session_->stop();
  boost::asio::post(io_, [this] {
    for (auto& [id, attempt] : attempts_) {
      if (attempt.launching != nullptr) attempt.launching->cancel();
    }
  });
  launches_.join();
  work_.reset();
  io_.stop();
  strand_thread_.join();
}

void Agent::connect() {
  Session::Callbacks callbacks;
  callbacks.registration = [this] { return registration(); };
  callbacks.heartbeat = [this] { return heartbeat(); };
  callbacks.on_message = [this](const v1::ServerMessage& message) {
    boost::asio::post(io_, [this, message] { on_message(message); });
  };
  callbacks.on_heard = [this](BootTime sent, Duration granted) { lease_->renew(sent, granted); };
  lease_->start();
  callbacks.on_connected = [this] { boost::asio::post(io_, [this] { report_all(); }); };
  session_ = std::make_unique<Session>(channel_, std::move(callbacks), partition_);
  // Only now: what the strand does may use the session.
  strand_thread_ = std::thread([this] { io_.run(); });
  gpu_watch_ = std::make_unique<GpuWatch>(GpuWatch::Options{
      .gpu_library = options_.gpu_library, .changed = [this](const GpuFaults& faults) {
        boost::asio::post(io_, [this, faults] {
          gpu_faults_ = faults;
          report_faults();
        });
      }});
}

// ---- telling

void Agent::report_faults() {
  v1::AgentMessage message;
  for (const v1::Device& device : devices()) {
    if (!device.fault().empty()) *message.mutable_device_faults()->add_devices() = device;
  }
  message.mutable_device_faults();  // also when none is left
  session_->send(std::move(message));
}

std::vector<v1::Device> Agent::devices() const {
  std::vector<v1::Device> devices = options_.devices;
  for (v1::Device& device : devices) {
    const auto fault = gpu_faults_.find(static_cast<unsigned>(device.index()));
    if (device.kind() == "cuda" && fault != gpu_faults_.end()) device.set_fault(fault->second);
  }
  return devices;
}

void Agent::report(const Rank& rank) {
  if (session_ == nullptr) return;  // during adoption: the registration will tell
  v1::AgentMessage message;
  *message.mutable_rank_report() = rank.report;
  session_->send(std::move(message));
}

void Agent::report_match(const Rank& rank, const LogMatches::value_type& match) {
  v1::AgentMessage message;
  *message.mutable_log_match() = to_message(rank.report, match);
  session_->send(std::move(message));
}

void Agent::report_stall(const v1::RankStalled& stalled) {
  if (session_ == nullptr) return;
  v1::AgentMessage message;
  *message.mutable_rank_stalled() = stalled;
  session_->send(std::move(message));
}

void Agent::report_all() {
  if (!gpu_faults_.empty()) report_faults();
  for (const auto& [id, attempt] : attempts_) {
    for (const auto& [number, rank] : attempt.ranks) {
      // Before the rank's state: a match counts for the attempt as long as that has not ended.
      for (const auto& match : rank.log_matches) report_match(rank, match);
      report(rank);
    }
  }
  hangs_.tell_again();
}

void Agent::report_rendezvous(const AttemptId& id, int port) {
  v1::AgentMessage message;
  message.mutable_rendezvous_ready()->set_job_id(id.job.str());
  message.mutable_rendezvous_ready()->set_attempt(id.number);
  message.mutable_rendezvous_ready()->set_port(port);
  session_->send(std::move(message));
}

void Agent::report_failed_launch(const v1::Launch& launch, const absl::Status& status) {
  v1::AgentMessage message;
  message.mutable_launch_failed()->set_job_id(launch.job_id());
  message.mutable_launch_failed()->set_attempt(launch.attempt());
  message.mutable_launch_failed()->set_reason(printable_line(message_of(status)));
  message.mutable_launch_failed()->set_permanent(is_permanent(status));
  if (absl::IsDataLoss(status)) {
    message.mutable_launch_failed()->set_corrupt_checkpoint_id(launch.resume_checkpoint_id());
  }
  session_->send(std::move(message));
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
    for (v1::Device& device : devices()) *registration.add_devices() = std::move(device);
    registration.set_cpus(options_.cpus);
    registration.set_memory_bytes(options_.memory_bytes);
    for (const auto& [id, attempt] : attempts_) {
      for (const auto& [number, rank] : attempt.ranks) {
        *registration.add_ranks() = rank.report;
        for (const auto& match : rank.log_matches) {
          if (registration.log_matches_size() == kMaxMatchesRegistered) break;
          *registration.add_log_matches() = to_message(rank.report, match);
        }
      }
    }
    made.set_value(std::move(registration));
  });
  return made.get_future().get();
}

v1::Heartbeat Agent::heartbeat() const {
  v1::Heartbeat beat;
  double load = 0;
  if (getloadavg(&load, 1) == 1) beat.set_load_1m(load);
  HostReading host;
  read_memory(host);
  read_disk(options_.data_dir, host);
  beat.set_memory_available_bytes(static_cast<std::int64_t>(host.memory_available));
  beat.set_disk_available_bytes(static_cast<std::int64_t>(host.disk_available));
  return beat;
}

AgentView Agent::view() {
  std::promise<AgentView> made;
  boost::asio::post(io_, [&] {
    AgentView view;
    for (const auto& [id, attempt] : attempts_) {
      for (const auto& [number, rank] : attempt.ranks) {
        ++view.ranks[rank.report.state()];
        view.uploads += rank.uploads;
      }
    }
    made.set_value(std::move(view));
  });
  AgentView view = made.get_future().get();
  view.session = session_->view();
  view.forwarding = forwarder_->view();
  return view;
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

void Agent::stop_ranks(Duration grace) {
  const auto grace_ms = std::chrono::duration_cast<std::chrono::milliseconds>(grace).count();
  boost::asio::post(io_, [this, grace_ms] {
    for (auto& [id, attempt] : attempts_) on_stop(id, grace_ms);
  });
  if (!wait_until_all(v1::RANK_STATE_EXITED, grace + kKillPatience)) return;
  wait_until_all(v1::RANK_STATE_DRAINED, kDrainPatience);
}

// False when `patience` is over first.
bool Agent::wait_until_all(v1::RankState state, Duration patience) {
  const auto reached = std::make_shared<std::promise<void>>();
  boost::asio::post(io_, [this, state, reached] {
    waiting_.push_back({state, reached});
    check_waiting();
  });
  return reached->get_future().wait_for(patience) == std::future_status::ready;
}

void Agent::check_waiting() {
  std::erase_if(waiting_, [this](const Waiting& waiting) {
    for (const auto& [id, attempt] : attempts_) {
      for (const auto& [number, rank] : attempt.ranks) {
        if (rank.report.state() < waiting.state) return false;
      }
    }
    waiting.reached->set_value();
    return true;
  });
}

}  // namespace lctl::agent
