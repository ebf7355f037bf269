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
struct NvmlEvent {
  NvmlDevice device;
  unsigned long long type;
  unsigned long long data;
  unsigned gpu_instance;
  unsigned compute_instance;
};
using NvmlEventSet = void*;
constexpr NvmlReturn kNvmlSuccess = 0;
constexpr NvmlReturn kNvmlGpuIsLost = 15;
constexpr int kNvmlTemperatureGpu = 0;
constexpr int kNvmlThresholdSlowdown = 1;
constexpr int kNvmlUncorrected = 1;
constexpr int kNvmlVolatile = 0;
constexpr unsigned long long kNvmlXidError = 0x8;
constexpr int kMostXids = 1000;  // taken at a time
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
  NvmlReturn (*threshold)(NvmlDevice, int, unsigned*) = nullptr;
  NvmlReturn (*ecc_errors)(NvmlDevice, int, int, unsigned long long*) = nullptr;
  NvmlReturn (*make_events)(NvmlEventSet*) = nullptr;
  NvmlReturn (*free_events)(NvmlEventSet) = nullptr;
  NvmlReturn (*register_events)(NvmlDevice, unsigned long long, NvmlEventSet) = nullptr;
  NvmlReturn (*wait_event)(NvmlEventSet, NvmlEvent*, unsigned) = nullptr;

  bool load_all(void* library) {
    load(library, "nvmlDeviceGetUtilizationRates", utilization);
    load(library, "nvmlDeviceGetPowerUsage", power);
    load(library, "nvmlDeviceGetEnforcedPowerLimit", power_limit);
    load(library, "nvmlDeviceGetTemperature", temperature);
    load(library, "nvmlDeviceGetTemperatureThreshold", threshold);
    load(library, "nvmlDeviceGetTotalEccErrors", ecc_errors);
    load(library, "nvmlEventSetCreate", make_events);
    load(library, "nvmlEventSetFree", free_events);
    load(library, "nvmlDeviceRegisterEvents", register_events);
    load(library, "nvmlEventSetWait_v2", wait_event);
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

GpuLibrary::~GpuLibrary() {
  if (xids_ != nullptr) functions_->free_events(xids_);
  functions_->shutdown();
}

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

GpuSigns GpuLibrary::signs(unsigned index) const {
  const Functions& nvml = *functions_;
  GpuSigns signs;
  NvmlDevice device = nullptr;
  NvmlReturn answer = nvml.handle(index, &device);
  unsigned value = 0;
  if (answer == kNvmlSuccess && nvml.temperature != nullptr) {
    answer = nvml.temperature(device, kNvmlTemperatureGpu, &value);
    if (answer == kNvmlSuccess) signs.temperature_celsius = value;
  }
  signs.lost = answer == kNvmlGpuIsLost;
  if (device == nullptr || signs.lost) return signs;
  if (nvml.threshold != nullptr &&
      nvml.threshold(device, kNvmlThresholdSlowdown, &value) == kNvmlSuccess && value > 0) {
    signs.slowdown_celsius = value;
  }
  unsigned long long errors = 0;
  if (nvml.ecc_errors != nullptr &&
      nvml.ecc_errors(device, kNvmlUncorrected, kNvmlVolatile, &errors) == kNvmlSuccess) {
    signs.uncorrected_errors = errors;
  }
  return signs;
}

void GpuLibrary::watch_xids() {
  const Functions& nvml = *functions_;
  if (xids_ != nullptr || nvml.make_events == nullptr || nvml.free_events == nullptr ||
      nvml.register_events == nullptr || nvml.wait_event == nullptr) {
    return;
  }
  unsigned count = 0;
  if (nvml.count(&count) != kNvmlSuccess || nvml.make_events(&xids_) != kNvmlSuccess) {
    xids_ = nullptr;
    return;
  }
  for (unsigned i = 0; i < count; ++i) {
    NvmlDevice device = nullptr;
    if (nvml.handle(i, &device) == kNvmlSuccess &&
        nvml.register_events(device, kNvmlXidError, xids_) == kNvmlSuccess) {
      watched_[device] = i;
    }
  }
}

std::map<unsigned, std::vector<std::uint64_t>> GpuLibrary::take_xids() {
  std::map<unsigned, std::vector<std::uint64_t>> taken;
  if (watched_.empty()) return taken;
  NvmlEvent event = {};
  for (int i = 0; i < kMostXids; ++i) {
    if (functions_->wait_event(xids_, &event, 0) != kNvmlSuccess) break;
    const auto index = watched_.find(event.device);
    if (event.type == kNvmlXidError && index != watched_.end())
      taken[index->second].push_back(event.data);
  }
  return taken;
}

}  // namespace lctl::agent
