// A stand-in for NVIDIA's management library, as a shared object: what it reports is set by
// environment variables, so that a test can be any machine.
//
//   FAKE_NVML_GPUS       how many GPUs there are (default 0)
//   FAKE_NVML_BROKEN     index of a GPU that does not answer
//   FAKE_NVML_NO_DRIVER  set: initialisation fails, as with a library without its driver
//   FAKE_NVML_XIDS       a file of lines "GPU XID": each is an error that the driver reports, once
//   FAKE_NVML_LOST       index of a GPU that the driver has lost
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int kSuccess = 0;
constexpr int kFailure = 999;
constexpr int kLost = 15;
constexpr int kTimeout = 10;

int number(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

struct Memory {
  unsigned long long total, free, used;
};

// A device handle is the index plus one.
unsigned index_of(void* device) {
  return static_cast<unsigned>(reinterpret_cast<std::size_t>(device)) - 1;
}

}  // namespace

extern "C" {

int nvmlInit_v2() { return std::getenv("FAKE_NVML_NO_DRIVER") == nullptr ? kSuccess : kFailure; }
int nvmlShutdown() { return kSuccess; }

int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = static_cast<unsigned>(number("FAKE_NVML_GPUS", 0));
  return kSuccess;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (static_cast<int>(index) == number("FAKE_NVML_BROKEN", -1)) return kFailure;
  *device = reinterpret_cast<void*>(static_cast<std::size_t>(index) + 1);
  return kSuccess;
}

int nvmlDeviceGetName(void* device, char* name, unsigned length) {
  std::snprintf(name, length, "Fake GPU %u", index_of(device));
  return kSuccess;
}

int nvmlDeviceGetUUID(void* device, char* uuid, unsigned length) {
  std::snprintf(uuid, length, "GPU-%u", index_of(device));
  return kSuccess;
}

int nvmlDeviceGetMemoryInfo(void* device, Memory* memory) {
  std::memset(memory, 0, sizeof(*memory));
  memory->total = (index_of(device) + 1ULL) << 30;
  memory->used = memory->total / 4;
  return kSuccess;
}

struct Utilization {
  unsigned gpu, memory;
};

int nvmlDeviceGetUtilizationRates(void* device, Utilization* rates) {
  *rates = {80 + index_of(device), 10};
  return kSuccess;
}

int nvmlDeviceGetPowerUsage(void*, unsigned* milliwatts) {
  *milliwatts = 350'500;
  return kSuccess;
}

int nvmlDeviceGetEnforcedPowerLimit(void*, unsigned* milliwatts) {
  *milliwatts = 701'000;
  return kSuccess;
}

// A card without a sensor.
int nvmlDeviceGetTemperature(void* device, int, unsigned* celsius) {
  if (static_cast<int>(index_of(device)) == number("FAKE_NVML_LOST", -1)) return kLost;
  if (index_of(device) > 0) return kFailure;
  *celsius = 61;
  return kSuccess;
}

int nvmlDeviceGetTemperatureThreshold(void*, int, unsigned* celsius) {
  *celsius = 90;
  return kSuccess;
}

int nvmlDeviceGetTotalEccErrors(void*, int, int, unsigned long long* errors) {
  *errors = 0;
  return kSuccess;
}

struct Event {
  void* device;
  unsigned long long type, data;
  unsigned gpu_instance, compute_instance;
};

// How many lines of the file were reported.
struct EventSet {
  int reported = 0;
};

int nvmlEventSetCreate(void** set) {
  *set = new EventSet();
  return kSuccess;
}

int nvmlEventSetFree(void* set) {
  delete static_cast<EventSet*>(set);
  return kSuccess;
}

int nvmlDeviceRegisterEvents(void*, unsigned long long, void*) { return kSuccess; }

int nvmlEventSetWait_v2(void* set, Event* event, unsigned) {
  const char* name = std::getenv("FAKE_NVML_XIDS");
  std::FILE* file = name == nullptr ? nullptr : std::fopen(name, "r");
  if (file == nullptr) return kTimeout;
  int& reported = static_cast<EventSet*>(set)->reported;
  std::size_t gpu = 0;
  unsigned long long xid = 0;
  int line = 0;
  int result = kTimeout;
  while (std::fscanf(file, "%zu %llu\n", &gpu, &xid) == 2) {
    if (line++ < reported) continue;
    ++reported;
    *event = {reinterpret_cast<void*>(gpu + 1), 0x8, xid, 0, 0};
    result = kSuccess;
    break;
  }
  std::fclose(file);
  return result;
}
}
