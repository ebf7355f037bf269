#include "worker/agent/launch_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string_view>

namespace lctl::agent {
namespace {

constexpr std::size_t kMaxJobIdLength = 64;
constexpr int kMaxRanksOnNode = 1024;
constexpr int kMaxWorldSize = 4096 * 1024;
constexpr std::size_t kMaxConfigBytes = 1 << 20;
constexpr int kMaxVariables = 256;
constexpr std::size_t kMaxAddressLength = 253;

bool is_word(std::string_view text, std::string_view also) {
  return std::all_of(text.begin(), text.end(), [also](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || also.find(c) != also.npos;
  });
}

bool is_variable_name(std::string_view name) {
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
         is_word(name, "_");
}

absl::Status check_ranks(const v1::Launch& launch) {
  if (launch.world_size() < 1 || launch.world_size() > kMaxWorldSize) {
    return absl::InvalidArgumentError(
        fmt::format("the launch has a world size of {}", launch.world_size()));
  }
  if (launch.ranks_size() < 1 ||
      launch.ranks_size() > std::min(kMaxRanksOnNode, launch.world_size())) {
    return absl::InvalidArgumentError(
        fmt::format("the launch has {} ranks for this node, of {} in all", launch.ranks_size(),
                    launch.world_size()));
  }
  std::set<int> seen;
  for (const v1::RankAssignment& each : launch.ranks()) {
    if (each.rank() < 0 || each.rank() >= launch.world_size() || !seen.insert(each.rank()).second) {
      return absl::InvalidArgumentError(
          fmt::format("the launch names rank {} twice or out of range", each.rank()));
    }
    if (each.local_rank() < 0 || each.local_rank() >= kMaxRanksOnNode || each.device_index() < 0 ||
        (each.device_kind() != "cpu" && each.device_kind() != "cuda")) {
      return absl::InvalidArgumentError(
          fmt::format("the launch gives rank {} local rank {} and device '{}' {}", each.rank(),
                      each.local_rank(), each.device_kind(), each.device_index()));
    }
  }
  if (launch.rendezvous().bind() != (seen.count(0) > 0)) {
    return absl::InvalidArgumentError(
        "the rendezvous belongs to the node of rank 0, and to no other");
  }
  return absl::OkStatus();
}

absl::Status check_spec(const v1::JobSpec& spec) {
  if (spec.config_yaml().size() > kMaxConfigBytes) {
    return absl::InvalidArgumentError(
        fmt::format("the configuration has {} bytes; at most {} are allowed",
                    spec.config_yaml().size(), kMaxConfigBytes));
  }
  if (spec.environment_size() > kMaxVariables) {
    return absl::InvalidArgumentError(
        fmt::format("{} environment variables; at most {} are allowed", spec.environment_size(),
                    kMaxVariables));
  }
  for (const auto& [name, value] : spec.environment()) {
    if (!is_variable_name(name) || value.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(
          fmt::format("environment variable '{}' is not a possible one", name));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status check_launch(const v1::Launch& launch) {
  if (launch.job_id().empty() || launch.job_id().size() > kMaxJobIdLength ||
      !is_word(launch.job_id(), "_-")) {
    return absl::InvalidArgumentError("the launch has an impossible job id");
  }
  if (launch.attempt() < 1) {
    return absl::InvalidArgumentError(
        fmt::format("the launch has attempt number {}", launch.attempt()));
  }
  LCTL_RETURN_IF_ERROR(check_ranks(launch));
  const v1::Rendezvous& rendezvous = launch.rendezvous();
  if (!rendezvous.bind() &&
      (rendezvous.address().empty() || rendezvous.address().size() > kMaxAddressLength ||
       !is_word(rendezvous.address(), "._-:[]%") || rendezvous.port() < 1 ||
       rendezvous.port() > 65'535)) {
    return absl::InvalidArgumentError(
        fmt::format("the launch has an impossible rendezvous, port {}", rendezvous.port()));
  }
  if (launch.resume_checkpoint_size() < 0) {
    return absl::InvalidArgumentError("the launch resumes from a checkpoint of negative size");
  }
  return check_spec(launch.spec());
}

}  // namespace lctl::agent
