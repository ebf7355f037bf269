// What this machine can run ranks on.
#pragma once

#include <string>
#include <vector>

#include "proto/lctl/v1/session.pb.h"
#include "worker/agent/measuring/gpu_library.h"

namespace lctl::agent {

// The GPUs of this machine through `library` (kGpuLibrary), opened at run time: a machine without
// it has none. `reason` says why none were found, for the log.
std::vector<Gpu> list_gpus(const std::string& library, std::string* reason);

// CPU slots 0..slots-1 and one device per GPU.
std::vector<v1::Device> make_devices(int cpu_slots, const std::vector<Gpu>& gpus);

// Cores that this process may use (its affinity mask, cgroup limits aside).
int usable_cpus();

// Physical memory in bytes.
std::int64_t physical_memory();

}  // namespace lctl::agent
