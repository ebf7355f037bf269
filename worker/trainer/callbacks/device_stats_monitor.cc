#include "worker/trainer/callbacks/device_stats_monitor.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {

void DeviceStatsMonitor::setup(Trainer& trainer, TrainableModule& /*module*/,
                               std::string_view stage) {
  if (stage != "fit") return;
  if (!trainer.logger_connector().has_user_logger()) {
    throw MisconfigurationException(
        "Cannot use `DeviceStatsMonitor` callback with `Trainer(logger=False)`.");
  }
}

void DeviceStatsMonitor::log(Trainer& trainer, std::string_view hook) {
  if (!trainer.is_global_zero() || !trainer.logger_connector().should_update_logs()) return;
  const c10::Device device = trainer.strategy().root_device();
  if (device.is_cpu() && cpu_stats_ == false) return;
  DeviceStats stats = trainer.accelerator().device_stats(device);
  if (!device.is_cpu() && cpu_stats_ == true) {
    for (auto& stat : host_.read()) stats.push_back(std::move(stat));
  }
  for (auto& [name, value] : stats) name = fmt::format("DeviceStatsMonitor.{}/{}", hook, name);
  std::vector<LoggedMetric> row;
  row.reserve(stats.size());
  for (const auto& [name, value] : stats) row.push_back({name, value});
  trainer.logger_connector().log_beside(row);
}

}  // namespace lctl
