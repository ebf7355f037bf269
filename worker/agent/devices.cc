#include "worker/agent/devices.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <fstream>
#include <memory>

namespace lctl::agent {
namespace {

// The few declarations of NVML that are used here. Source: NVML API reference, stable since R418.
using NvmlReturn = int;
using NvmlDevice = void*;
struct NvmlMemory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};
constexpr NvmlReturn kNvmlSuccess = 0;

// Entry points of an opened library; all or nothing.
struct Nvml {
  NvmlReturn (*init)() = nullptr;
  NvmlReturn (*shutdown)() = nullptr;
  NvmlReturn (*count)(unsigned*) = nullptr;
  NvmlReturn (*handle)(unsigned, NvmlDevice*) = nullptr;
  NvmlReturn (*name)(NvmlDevice, char*, unsigned) = nullptr;
  NvmlReturn (*uuid)(NvmlDevice, char*, unsigned) = nullptr;
  NvmlReturn (*memory)(NvmlDevice, NvmlMemory*) = nullptr;
};

template <typename Function>
bool load(void* library, const char* symbol, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, symbol));
  return function != nullptr;
}

bool load_all(void* library, Nvml& nvml) {
  return load(library, "nvmlInit_v2", nvml.init) && load(library, "nvmlShutdown", nvml.shutdown) &&
         load(library, "nvmlDeviceGetCount_v2", nvml.count) &&
         load(library, "nvmlDeviceGetHandleByIndex_v2", nvml.handle) &&
         load(library, "nvmlDeviceGetName", nvml.name) &&
         load(library, "nvmlDeviceGetUUID", nvml.uuid) &&
         load(library, "nvmlDeviceGetMemoryInfo", nvml.memory);
}

std::vector<Gpu> read_all(const Nvml& nvml, std::string* reason) {
  unsigned count = 0;
  if (nvml.count(&count) != kNvmlSuccess) {
    *reason = "the NVIDIA driver does not say how many GPUs there are";
    return {};
  }
  std::vector<Gpu> gpus;
  for (unsigned i = 0; i < count; ++i) {
    NvmlDevice device = nullptr;
    char name[96] = "";
    char uuid[96] = "";
    NvmlMemory memory = {};
    if (nvml.handle(i, &device) != kNvmlSuccess ||
        nvml.name(device, name, sizeof(name)) != kNvmlSuccess ||
        nvml.uuid(device, uuid, sizeof(uuid)) != kNvmlSuccess ||
        nvml.memory(device, &memory) != kNvmlSuccess) {
      // Indexes must stay those of the driver, so what follows a broken GPU is not used either.
      *reason = fmt::format("GPU {} does not answer; it and those behind it are not used", i);
      return gpus;
    }
    gpus.push_back({name, uuid, static_cast<std::int64_t>(memory.total)});
  }
  if (gpus.empty()) *reason = "the NVIDIA driver reports no GPU";
  return gpus;
}

}  // namespace

std::vector<Gpu> list_gpus(const std::string& library, std::string* reason) {
  const std::unique_ptr<void, int (*)(void*)> handle(dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL),
                                                     dlclose);
  if (handle == nullptr) {
    *reason = fmt::format("{} is not there", library);
    return {};
  }
  Nvml nvml;
  if (!load_all(handle.get(), nvml)) {
    *reason = fmt::format("{} lacks functions of NVML", library);
    return {};
  }
  if (nvml.init() != kNvmlSuccess) {
    *reason = "the NVIDIA driver does not answer";
    return {};
  }
  std::vector<Gpu> gpus = read_all(nvml, reason);
  nvml.shutdown();
  return gpus;
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

std::int64_t available_memory() {
  std::ifstream meminfo("/proc/meminfo");
  std::string word;
  std::int64_t kilobytes = 0;
  while (meminfo >> word) {
    if (word == "MemAvailable:" && meminfo >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

}  // namespace lctl::agent
