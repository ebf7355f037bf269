// What a node measured while an attempt's ranks ran on it, as metrics.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "worker/agent/measuring/gpu_library.h"
#include "worker/agent/measuring/host_reading.h"

namespace lctl::agent {

// All of one moment.
struct NodeReading {
  double seconds = 0;  // monotonic clock
  HostReading host;
  std::map<int, ProcessReading> ranks;  // by rank; those that run
  std::map<unsigned, GpuReading> gpus;  // by the driver's index; those of the attempt
};

// Names and units are those of MLflow's system metrics where it has them ("megabytes" are 10^6
// bytes); disk_read/write_megabytes, gpu_N_temperature_celsius and rank_N_... are ours. Rates are
// those since `before`, traffic is that since `first`. What is not known is left out. Pure.
std::vector<std::pair<std::string, double>> node_values(const NodeReading& first,
                                                        const NodeReading& before,
                                                        const NodeReading& now);

}  // namespace lctl::agent
