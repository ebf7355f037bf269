// The worker's page /metrics.
#pragma once

#include <map>
#include <string>

#include "base/clock.h"
#include "worker/agent/agent_view.h"

namespace lctl::agent {

struct WorkerSnapshot {
  std::string version;
  WallTime started;
  std::map<std::string, int> devices;  // by kind
  AgentView agent;
};

// docs/monitoring.md lists what is on it. Pure.
std::string worker_metrics(const WorkerSnapshot& snapshot);

}  // namespace lctl::agent
