// How a node daemon is doing, as values: for its metrics.
#pragma once

#include <cstdint>
#include <map>

#include "proto/lctl/v1/job.pb.h"

namespace lctl::agent {

// Counts are of this process.
struct SessionView {
  bool registered = false;
  std::uint64_t registrations = 0;  // all beyond the first are reconnections
  std::uint64_t failures = 0;       // sessions that broke, and tries that came to nothing
};

struct ForwarderView {
  std::uint64_t forwarded_bytes = 0;  // acknowledged by the server
  std::uint64_t waiting_bytes = 0;    // written by ranks and not acknowledged yet
  std::uint64_t failures = 0;         // streams that broke, and tries that came to nothing
};

struct AgentView {
  std::map<v1::RankState, int> ranks;  // those that this node answers for
  int uploads = 0;                     // checkpoints on their way
  SessionView session;
  ForwarderView forwarding;
};

}  // namespace lctl::agent
