// DeviceStatsMonitor.
#pragma once

#include <optional>
#include <string_view>

#include "worker/trainer/accelerators/host_stats.h"
#include "worker/trainer/callbacks/callback.h"

namespace lctl {

// Logs what the accelerator tells of the training device around each batch at which step metrics
// are written, as `DeviceStatsMonitor.on_train_batch_start/<name>`, at the loggers' step.
// `cpu_stats`: unset = the host's percentages when training on the CPU; true = always; false =
// never. Reading them takes about 50 us. Source: Lightning, callbacks/device_stats_monitor.py.
// Thread rule: one strand only (the training thread).
class DeviceStatsMonitor final : public Callback {
 public:
  explicit DeviceStatsMonitor(std::optional<bool> cpu_stats) : cpu_stats_(cpu_stats) {}

  std::string type_name() const override { return "DeviceStatsMonitor"; }

  void setup(Trainer& trainer, TrainableModule& module, std::string_view stage) override;
  void on_train_batch_start(Trainer& trainer, TrainableModule&, const Batch&,
                            std::int64_t) override {
    log(trainer, "on_train_batch_start");
  }
  void on_train_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&, const Batch&,
                          std::int64_t) override {
    log(trainer, "on_train_batch_end");
  }
  void on_validation_batch_start(Trainer& trainer, TrainableModule&, const Batch&, std::int64_t,
                                 std::int64_t) override {
    log(trainer, "on_validation_batch_start");
  }
  void on_validation_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&, const Batch&,
                               std::int64_t, std::int64_t) override {
    log(trainer, "on_validation_batch_end");
  }
  void on_test_batch_start(Trainer& trainer, TrainableModule&, const Batch&, std::int64_t,
                           std::int64_t) override {
    log(trainer, "on_test_batch_start");
  }
  void on_test_batch_end(Trainer& trainer, TrainableModule&, const StepOutput&, const Batch&,
                         std::int64_t, std::int64_t) override {
    log(trainer, "on_test_batch_end");
  }

 private:
  void log(Trainer& trainer, std::string_view hook);

  const std::optional<bool> cpu_stats_;
  HostStats host_;  // beside another device's
};

}  // namespace lctl
