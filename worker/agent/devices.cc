#include "worker/agent/devices.h"

#include <sched.h>
#include <unistd.h>

#include "base/status.h"

namespace lctl::agent {

std::vector<Gpu> list_gpus(const std::string& library, std::string* reason) {
  const auto opened = GpuLibrary::open(library);
  if (opened.ok()) return (*opened)->list(reason);
  *reason = message_of(opened.status());
  return {};
}

std::vector<v1::Device> make_devices(int cpu_slots, const std::vector<Gpu>& gpus) {
  std::vector<v1::Device> devices;
  for (int i = 0; i < cpu_slots; ++i) {
    v1::Device& device = devices.emplace_back();
    device.set_index(i);
    device.set_kind("cpu");
    device.set_name("cpu slot");
  }
  int index = 0;
  for (const Gpu& gpu : gpus) {
    v1::Device& device = devices.emplace_back();
    device.set_index(index++);
    device.set_kind("cuda");
    device.set_name(gpu.name);
    device.set_uuid(gpu.uuid);
    device.set_memory_bytes(gpu.memory_bytes);
  }
  return devices;
}

int usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return CPU_COUNT(&set);
}

std::int64_t physical_memory() {
  return static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
}

}  // namespace lctl::agent
