// NVIDIA's management library (NVML), opened at run time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace lctl::agent {

inline constexpr char kGpuLibrary[] = "libnvidia-ml.so.1";

// One GPU as the library reports it.
struct Gpu {
  std::string name;
  std::string uuid;
  std::int64_t memory_bytes = 0;
};

// What it is doing now; nullopt where the card (or an old driver) does not say.
struct GpuReading {
  std::optional<double> utilization_percent;  // time with a kernel running, of the last second
  std::optional<double> memory_used_bytes;
  std::optional<double> memory_total_bytes;
  std::optional<double> power_watts;
  std::optional<double> power_limit_watts;
  std::optional<double> temperature_celsius;
};

// What may be a sign of a fault; nullopt where the card does not say.
struct GpuSigns {
  bool lost = false;  // the driver cannot reach it any more
  // Memory errors that ECC could not correct, since the driver was loaded.
  std::optional<std::uint64_t> uncorrected_errors;
  std::optional<double> temperature_celsius;
  std::optional<double> slowdown_celsius;  // from there on it slows itself down
};

// Thread rule: caller locks.
class GpuLibrary {
 public:
  // NotFound or Unavailable, saying why: a machine without the library has no GPUs.
  static absl::StatusOr<std::unique_ptr<GpuLibrary>> open(const std::string& library);
  ~GpuLibrary();
  GpuLibrary(const GpuLibrary&) = delete;
  GpuLibrary& operator=(const GpuLibrary&) = delete;

  // `complaint` says why there are not more, or none.
  std::vector<Gpu> list(std::string* complaint) const;

  // By the driver's index. Costs some milliseconds on a real card.
  GpuReading read(unsigned index) const;
  GpuSigns signs(unsigned index) const;

  // From now on the Xid errors (the driver's, of all processes) are collected; nothing on drivers
  // that cannot.
  void watch_xids();
  // Those since the last call, by the driver's index. Does not wait.
  std::map<unsigned, std::vector<std::uint64_t>> take_xids();

 private:
  struct Functions;
  GpuLibrary(std::unique_ptr<void, int (*)(void*)> handle, std::unique_ptr<Functions> functions);

  std::unique_ptr<void, int (*)(void*)> handle_;  // of dlopen()
  std::unique_ptr<Functions> functions_;
  void* xids_ = nullptr;               // an event set; null = not watched
  std::map<void*, unsigned> watched_;  // handles and their indexes
};

}  // namespace lctl::agent
