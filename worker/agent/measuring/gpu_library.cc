#include "worker/agent/measuring/gpu_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <utility>

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
struct NvmlUtilization {
  unsigned gpu;
  unsigned memory;
};
constexpr NvmlReturn kNvmlSuccess = 0;
constexpr int kNvmlTemperatureGpu = 0;
constexpr double kMilliwatt = 1e-3;

template <typename Function>
bool load(void* library, const char* symbol, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, symbol));
  return function != nullptr;
}

}  // namespace

// Entry points: those of the first group are all there, any of the second may be null.
struct GpuLibrary::Functions {
  NvmlReturn (*init)() = nullptr;
  NvmlReturn (*shutdown)() = nullptr;
  NvmlReturn (*count)(unsigned*) = nullptr;
  NvmlReturn (*handle)(unsigned, NvmlDevice*) = nullptr;
  NvmlReturn (*name)(NvmlDevice, char*, unsigned) = nullptr;
  NvmlReturn (*uuid)(NvmlDevice, char*, unsigned) = nullptr;
  NvmlReturn (*memory)(NvmlDevice, NvmlMemory*) = nullptr;

  NvmlReturn (*utilization)(NvmlDevice, NvmlUtilization*) = nullptr;
  NvmlReturn (*power)(NvmlDevice, unsigned*) = nullptr;
  NvmlReturn (*power_limit)(NvmlDevice, unsigned*) = nullptr;
  NvmlReturn (*temperature)(NvmlDevice, int, unsigned*) = nullptr;

  bool load_all(void* library) {
    load(library, "nvmlDeviceGetUtilizationRates", utilization);
    load(library, "nvmlDeviceGetPowerUsage", power);
    load(library, "nvmlDeviceGetEnforcedPowerLimit", power_limit);
    load(library, "nvmlDeviceGetTemperature", temperature);
    return load(library, "nvmlInit_v2", init) && load(library, "nvmlShutdown", shutdown) &&
           load(library, "nvmlDeviceGetCount_v2", count) &&
           load(library, "nvmlDeviceGetHandleByIndex_v2", handle) &&
           load(library, "nvmlDeviceGetName", name) && load(library, "nvmlDeviceGetUUID", uuid) &&
           load(library, "nvmlDeviceGetMemoryInfo", memory);
  }
};

absl::StatusOr<std::unique_ptr<GpuLibrary>> GpuLibrary::open(const std::string& library) {
  std::unique_ptr<void, int (*)(void*)> handle(dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL),
                                               dlclose);
  if (handle == nullptr) return absl::NotFoundError(fmt::format("{} is not there", library));
  auto functions = std::make_unique<Functions>();
  if (!functions->load_all(handle.get()))
    return absl::UnavailableError(fmt::format("{} lacks functions of NVML", library));
  if (functions->init() != kNvmlSuccess)
    return absl::UnavailableError("the NVIDIA driver does not answer");
  return std::unique_ptr<GpuLibrary>(new GpuLibrary(std::move(handle), std::move(functions)));
}

GpuLibrary::GpuLibrary(std::unique_ptr<void, int (*)(void*)> handle,
                       std::unique_ptr<Functions> functions)
    : handle_(std::move(handle)), functions_(std::move(functions)) {}

GpuLibrary::~GpuLibrary() { functions_->shutdown(); }

std::vector<Gpu> GpuLibrary::list(std::string* complaint) const {
  const Functions& nvml = *functions_;
  unsigned count = 0;
  if (nvml.count(&count) != kNvmlSuccess) {
    *complaint = "the NVIDIA driver does not say how many GPUs there are";
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
      *complaint = fmt::format("GPU {} does not answer; it and those behind it are not used", i);
      return gpus;
    }
    gpus.push_back({name, uuid, static_cast<std::int64_t>(memory.total)});
  }
  if (gpus.empty()) *complaint = "the NVIDIA driver reports no GPU";
  return gpus;
}

GpuReading GpuLibrary::read(unsigned index) const {
  const Functions& nvml = *functions_;
  GpuReading reading;
  NvmlDevice device = nullptr;
  if (nvml.handle(index, &device) != kNvmlSuccess) return reading;
  if (NvmlMemory memory = {}; nvml.memory(device, &memory) == kNvmlSuccess) {
    reading.memory_used_bytes = static_cast<double>(memory.used);
    reading.memory_total_bytes = static_cast<double>(memory.total);
  }
  if (NvmlUtilization rates = {};
      nvml.utilization != nullptr && nvml.utilization(device, &rates) == kNvmlSuccess) {
    reading.utilization_percent = rates.gpu;
  }
  unsigned value = 0;
  if (nvml.power != nullptr && nvml.power(device, &value) == kNvmlSuccess)
    reading.power_watts = value * kMilliwatt;
  if (nvml.power_limit != nullptr && nvml.power_limit(device, &value) == kNvmlSuccess)
    reading.power_limit_watts = value * kMilliwatt;
  if (nvml.temperature != nullptr &&
      nvml.temperature(device, kNvmlTemperatureGpu, &value) == kNvmlSuccess) {
    reading.temperature_celsius = value;
  }
  return reading;
}

}  // namespace lctl::agent
