// From what an agent sends to what the server works with: every bound of session.proto is checked
// here.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "proto/lctl/v1/session.pb.h"
#include "server/jobs/launcher.h"

namespace lctl::nodes {

struct Registration {
  jobs::NodeInfo info;
  int cpus = 0;
  std::int64_t memory_bytes = 0;
  std::vector<jobs::RankReport> ranks;
};

// InvalidArgument (what is wrong, and with which value) for a registration that cannot be accepted;
// FailedPrecondition for an agent of another major version.
absl::StatusOr<Registration> check_registration(const v1::Register& message);

absl::StatusOr<jobs::RankReport> check_rank_report(const v1::RankReport& message);

// The message for one node. Copies the spec.
v1::ServerMessage to_message(const jobs::LaunchOrder& order);

}  // namespace lctl::nodes
