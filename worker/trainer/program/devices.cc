#include "worker/trainer/program/devices.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <string_view>

#include "worker/trainer/accelerators/cuda/plugin.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"

namespace lctl {
namespace {

// A driver is loaded and the user has not hidden the devices.
bool gpu_present() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (visible != nullptr && (*visible == '\0' || std::string_view(visible) == "-1")) return false;
  return access("/dev/nvidiactl", F_OK) == 0;
}

}  // namespace

std::unique_ptr<Accelerator> open_accelerator(const TrainerOptions& options,
                                              const std::string& assigned) {
  const std::string& wanted = options.accelerator;
  if (assigned == "cpu" || (assigned.empty() && wanted == "cpu")) return make_cpu_accelerator();
  const bool asked = assigned.starts_with("cuda") || wanted == "gpu" || wanted == "cuda";
  if (!asked && wanted != "auto") {
    throw MisconfigurationException(
        fmt::format("You selected an invalid accelerator name: `accelerator='{}'`. Available names "
                    "are: auto, cuda, gpu, cpu.",
                    wanted));
  }
  if (!asked && !gpu_present()) return make_cpu_accelerator();
  std::string reason;
  if (std::unique_ptr<Accelerator> cuda = open_cuda_plugin(reason)) return cuda;
  if (asked) {
    throw MisconfigurationException(
        fmt::format("accelerator '{}': no CUDA accelerator can be used: {}",
                    assigned.empty() ? wanted : assigned, reason));
  }
  return make_cpu_accelerator();
}

std::vector<int> choose_devices(const TrainerOptions& options, const Accelerator& accelerator) {
  const bool cpu = accelerator.name() == "cpu";
  const int present = accelerator.device_count();
  if (const auto* ids = std::get_if<std::vector<std::int64_t>>(&options.devices)) {
    std::vector<int> chosen(ids->begin(), ids->end());
    if (chosen.empty()) {
      throw MisconfigurationException(
          fmt::format("`Trainer(devices=[])` value is not a valid input using {} accelerator.",
                      accelerator.name()));
    }
    for (const int id : chosen) {
      if (cpu)
        throw MisconfigurationException(
            "`devices` selected with `CPUAccelerator` should be an int > 0.");
      if (std::count(chosen.begin(), chosen.end(), id) > 1)
        throw MisconfigurationException("Device ID's (GPU) must be unique.");
      if (id < 0 || id >= present) {
        throw MisconfigurationException(
            fmt::format("You requested gpu {}, but your machine only has {} of them", id, present));
      }
    }
    return chosen;
  }
  std::int64_t count = cpu ? 1 : present;
  if (const auto* given = std::get_if<std::int64_t>(&options.devices)) {
    count = *given == -1 && !cpu ? present : *given;
    if (count == 0) {
      throw MisconfigurationException(
          fmt::format("`Trainer(devices=0)` value is not a valid input using {} accelerator.",
                      accelerator.name()));
    }
    if (count < 0)
      throw MisconfigurationException(
          "`devices` selected with `CPUAccelerator` should be an int > 0.");
    if (!cpu && count > present) {
      throw MisconfigurationException(
          fmt::format("You requested {} gpus but your machine only has {}", count, present));
    }
  }
  std::vector<int> chosen(static_cast<std::size_t>(count));
  std::iota(chosen.begin(), chosen.end(), 0);
  return chosen;
}

void log_device_info(const Accelerator& accelerator) {
  const bool used = accelerator.name() == "cuda";
  const bool available = used || gpu_present();
  console::info(fmt::format("GPU available: {}, used: {}", available ? "True (cuda)" : "False",
                            used ? "True" : "False"));
  console::info("TPU available: False, using: 0 TPU cores");
  if (available && !used) {
    console::warn(
        "GPU available but not used. You can set it by doing `Trainer(accelerator='gpu')`.");
  }
}

}  // namespace lctl
