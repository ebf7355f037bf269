#include "server/nodes/registration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string_view>
#include <utility>

#include "base/printable_line.h"
#include "base/version.h"

namespace lctl::nodes {
namespace {

constexpr int kNodeIdLength = 16;
constexpr std::size_t kMaxNameLength = 253;  // of a DNS name
constexpr int kMaxDevices = 4096;
constexpr int kMaxRanks = 4096;
constexpr int kMaxRankNumber = 4096 * 1024;
constexpr int kMaxLogPolicies = 32;  // of a job
constexpr std::size_t kMaxJobIdLength = 64;
constexpr std::size_t kMaxMessageLength = 4096;
constexpr int kMaxRecentCollectives = 16;
constexpr std::size_t kMaxWordsLength = 200;  // a state, a phase, a collective

bool is_id(std::string_view text) {
  return text.size() == kNodeIdLength && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7');
         });
}

bool is_host(std::string_view text, std::string_view also) {
  return !text.empty() && text.size() <= kMaxNameLength &&
         std::all_of(text.begin(), text.end(), [also](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || also.find(c) != also.npos;
         });
}

// Text of unknown quality as one line of bounded length.
std::string one_line(std::string text) {
  if (text.size() > kMaxMessageLength) text.resize(kMaxMessageLength);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 32; }, ' ');
  return text;
}

std::string_view major_of(std::string_view version) { return version.substr(0, version.find('.')); }

absl::Status check_devices(const v1::Register& message) {
  if (message.devices_size() > kMaxDevices) {
    return absl::InvalidArgumentError(
        fmt::format("{} devices; a node has at most {}", message.devices_size(), kMaxDevices));
  }
  std::set<std::pair<std::string_view, int>> seen;
  for (const v1::Device& device : message.devices()) {
    if (device.kind() != "cpu" && device.kind() != "cuda") {
      return absl::InvalidArgumentError(
          fmt::format("device kind '{}'; expected cpu or cuda", one_line(device.kind())));
    }
    if (device.index() < 0 || !seen.emplace(device.kind(), device.index()).second) {
      return absl::InvalidArgumentError(
          fmt::format("device {} {} is negative or named twice", device.kind(), device.index()));
    }
  }
  return absl::OkStatus();
}

// Which rank the message is about.
template <typename Message>
absl::Status check_rank(std::string_view what, const Message& message) {
  if (message.job_id().empty() || message.job_id().size() > kMaxJobIdLength ||
      message.attempt() < 1) {
    return absl::InvalidArgumentError(fmt::format("{} names no attempt: job '{}', attempt {}", what,
                                                  one_line(message.job_id()), message.attempt()));
  }
  if (message.rank() < 0 || message.rank() >= kMaxRankNumber) {
    return absl::InvalidArgumentError(fmt::format("rank {} is out of range", message.rank()));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<jobs::DeviceFault> check_faults(
    const google::protobuf::RepeatedPtrField<v1::Device>& faulty,
    const std::vector<jobs::NodeDevice>& devices) {
  std::vector<jobs::DeviceFault> faults;
  for (const jobs::NodeDevice& device : devices) {
    const auto found = std::find_if(faulty.begin(), faulty.end(), [&](const v1::Device& each) {
      return each.kind() == device.kind && each.index() == device.index && !each.fault().empty();
    });
    if (found != faulty.end()) faults.push_back({device, printable_line(found->fault())});
  }
  return faults;
}

absl::StatusOr<LogMatch> check_log_match(const v1::LogMatch& message) {
  LCTL_RETURN_IF_ERROR(check_rank("a match of a log policy", message));
  if (message.policy() < 0 || message.policy() >= kMaxLogPolicies) {
    return absl::InvalidArgumentError(
        fmt::format("log policy {} is out of range", message.policy()));
  }
  return LogMatch{.attempt = {JobId(message.job_id()), message.attempt()},
                  .rank = message.rank(),
                  .policy = message.policy(),
                  .line = printable_line(message.line())};
}

absl::StatusOr<jobs::RankReport> check_rank_report(const v1::RankReport& message) {
  LCTL_RETURN_IF_ERROR(check_rank("a rank report", message));
  if (message.state() < v1::RANK_STATE_LAUNCHING || message.state() > v1::RANK_STATE_DRAINED) {
    return absl::InvalidArgumentError(fmt::format("rank state {} is none that a node reports",
                                                  static_cast<int>(message.state())));
  }
  if (message.exit_code() < 0 || message.exit_code() > 255) {
    return absl::InvalidArgumentError(
        fmt::format("exit code {} is out of range", message.exit_code()));
  }
  return jobs::RankReport{.attempt = {JobId(message.job_id()), message.attempt()},
                          .rank = message.rank(),
                          .state = message.state(),
                          .pid = std::max<std::int64_t>(0, message.pid()),
                          .exit_code = message.exit_code(),
                          .message = one_line(message.message()),
                          .lost_with_reboot = message.lost_with_reboot(),
                          .lease_ran_out = message.lease_ran_out()};
}

absl::StatusOr<jobs::RankStall> check_rank_stalled(const v1::RankStalled& message) {
  LCTL_RETURN_IF_ERROR(check_rank("a stalled rank", message));
  if (message.silent_ms() < 0 || message.step() < 0 || message.collectives_begun() < 0 ||
      message.collectives_passed() < 0) {
    return absl::InvalidArgumentError("a stalled rank's numbers cannot be negative");
  }
  if (message.recent_collectives_size() > kMaxRecentCollectives) {
    return absl::InvalidArgumentError(fmt::format("{} recent collectives; at most {} are told",
                                                  message.recent_collectives_size(),
                                                  kMaxRecentCollectives));
  }
  constexpr std::int64_t kLongestMs = std::int64_t{366} * 24 * 3600 * 1000;
  jobs::RankStall stall{
      .attempt = {JobId(message.job_id()), message.attempt()},
      .rank = message.rank(),
      .stalled = message.stalled(),
      .silence = std::chrono::milliseconds(std::min(message.silent_ms(), kLongestMs)),
      .phase = printable_line(message.phase(), kMaxWordsLength),
      .in_batch = message.in_batch(),
      .step = message.step(),
      .begun = message.collectives_begun(),
      .passed = message.collectives_passed(),
      .recent = {},
      .process = printable_line(message.process(), kMaxWordsLength),
      .stacks_told = message.stacks_told()};
  for (const std::string& name : message.recent_collectives()) {
    stall.recent.push_back(printable_line(name, kMaxWordsLength));
  }
  return stall;
}

absl::StatusOr<Registration> check_registration(const v1::Register& message) {
  if (!is_id(message.node_id())) {
    return absl::InvalidArgumentError(fmt::format("node id '{}'; expected {} characters a-z2-7",
                                                  one_line(message.node_id()), kNodeIdLength));
  }
  if (!is_host(message.name(), "._-")) {
    return absl::InvalidArgumentError(
        fmt::format("node name '{}'; expected 1 to {} letters, digits, '.', '_' or '-'",
                    one_line(message.name()), kMaxNameLength));
  }
  if (!is_host(message.address(), "._-:[]%")) {
    return absl::InvalidArgumentError(
        fmt::format("address '{}'; expected a host name or an IP address without a port",
                    one_line(message.address())));
  }
  if (major_of(message.version()) != major_of(kVersion)) {
    return absl::FailedPreconditionError(fmt::format(
        "lctl-worker {} cannot work with lctl-server {}: install the same major version",
        one_line(message.version()), kVersion));
  }
  LCTL_RETURN_IF_ERROR(check_devices(message));
  if (message.cpus() < 0 || message.memory_bytes() < 0) {
    return absl::InvalidArgumentError("cpus and memory cannot be negative");
  }
  if (message.ranks_size() > kMaxRanks) {
    return absl::InvalidArgumentError(
        fmt::format("{} ranks; a node answers for at most {}", message.ranks_size(), kMaxRanks));
  }
  Registration checked{.info = {.id = NodeId(message.node_id()),
                                .name = message.name(),
                                .address = message.address(),
                                .version = one_line(message.version()),
                                .boot_id = one_line(message.boot_id())},
                       .cpus = message.cpus(),
                       .memory_bytes = message.memory_bytes()};
  for (const v1::Device& device : message.devices()) {
    checked.info.devices.push_back({device.index(), device.kind()});
  }
  checked.info.faults = check_faults(message.devices(), checked.info.devices);
  for (const v1::RankReport& rank : message.ranks()) {
    LCTL_ASSIGN_OR_RETURN(jobs::RankReport report, check_rank_report(rank));
    checked.ranks.push_back(std::move(report));
  }
  if (message.log_matches_size() > kMaxRanks * kMaxLogPolicies) {
    return absl::InvalidArgumentError(fmt::format("{} matches of log policies; at most {} are sent",
                                                  message.log_matches_size(),
                                                  kMaxRanks * kMaxLogPolicies));
  }
  for (const v1::LogMatch& match : message.log_matches()) {
    LCTL_ASSIGN_OR_RETURN(LogMatch known, check_log_match(match));
    checked.log_matches.push_back(std::move(known));
  }
  return checked;
}

v1::FaultKind to_message(jobs::Fault fault) {
  switch (fault) {
    case jobs::Fault::kKillRank:
      return v1::FAULT_KIND_KILL_RANK;
    case jobs::Fault::kHang:
      return v1::FAULT_KIND_HANG;
    case jobs::Fault::kPreempt:
      return v1::FAULT_KIND_PREEMPT;
    case jobs::Fault::kPartition:
      return v1::FAULT_KIND_PARTITION;
    case jobs::Fault::kCorruptCheckpoint:
      return v1::FAULT_KIND_CORRUPT_CHECKPOINT;
  }
  return v1::FAULT_KIND_UNSPECIFIED;
}

v1::ServerMessage to_message(const jobs::LaunchOrder& order) {
  v1::ServerMessage message;
  v1::Launch& launch = *message.mutable_launch();
  launch.set_job_id(order.attempt.job.str());
  launch.set_attempt(order.attempt.number);
  *launch.mutable_spec() = *order.spec;
  for (const jobs::RankPlace& place : order.ranks) {
    v1::RankAssignment& rank = *launch.add_ranks();
    rank.set_rank(place.rank);
    rank.set_local_rank(place.local_rank);
    rank.set_device_index(place.device.index);
    rank.set_device_kind(place.device.kind);
  }
  launch.set_world_size(order.world_size);
  launch.set_node_rank(order.node_rank);
  launch.mutable_rendezvous()->set_bind(order.bind);
  launch.mutable_rendezvous()->set_address(order.rendezvous_address);
  launch.mutable_rendezvous()->set_port(order.rendezvous_port);
  launch.set_resume_checkpoint_id(order.resume_checkpoint_id);
  launch.set_resume_checkpoint_size(order.resume_checkpoint_size);
  launch.set_damage_download(order.damage_download);
  launch.mutable_skip_batches()->Assign(order.skip_batches.begin(), order.skip_batches.end());
  return message;
}

}  // namespace lctl::nodes
