// From what an agent sends to what the server works with: every bound of session.proto is checked
// here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/lctl/v1/session.pb.h"
#include "server/jobs/launcher.h"

namespace lctl::nodes {

// A line of a rank's output that fits a log policy of its job.
struct LogMatch {
  AttemptId attempt;
  int rank = 0;
  int policy = 0;
  std::string line;
};

struct Registration {
  jobs::NodeInfo info;
  int cpus = 0;
  std::int64_t memory_bytes = 0;
  std::vector<jobs::RankReport> ranks;
  std::vector<LogMatch> log_matches;
};

// InvalidArgument (what is wrong, and with which value) for a registration that cannot be accepted;
// FailedPrecondition for an agent of another major version.
absl::StatusOr<Registration> check_registration(const v1::Register& message);

absl::StatusOr<jobs::RankReport> check_rank_report(const v1::RankReport& message);

// Those that are devices of a node with `devices`; others are left out.
std::vector<jobs::DeviceFault> check_faults(
    const google::protobuf::RepeatedPtrField<v1::Device>& faulty,
    const std::vector<jobs::NodeDevice>& devices);

absl::StatusOr<jobs::RankStall> check_rank_stalled(const v1::RankStalled& message);

absl::StatusOr<LogMatch> check_log_match(const v1::LogMatch& message);

// The message for one node. Copies the spec.
v1::ServerMessage to_message(const jobs::LaunchOrder& order);
v1::FaultKind to_message(jobs::Fault fault);

}  // namespace lctl::nodes
