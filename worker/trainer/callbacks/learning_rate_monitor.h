// Logs the learning rates of all optimizers.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/core/optimizers_config.h"

namespace lctl {

// Lightning's arguments with its defaults.
struct LearningRateMonitorOptions {
  std::optional<std::string> logging_interval;  // "step", "epoch"; unset: each scheduler's own
  bool log_momentum = false;
  bool log_weight_decay = false;
};

// The keys and values of one moment, in Lightning's order: optimizers by their schedulers first,
// then those without one. `interval`: only schedulers of that interval, "any" = all. Names are the
// scheduler's, else lr-<class>; `-1`, `-2` for further optimizers of a class, `/pg1` or `/<name>`
// for parameter groups. Throws MisconfigurationException for two groups of one name. Pure.
std::vector<std::pair<std::string, double>> learning_rate_stats(
    const OptimizersConfig& optimizers, std::string_view interval,
    const LearningRateMonitorOptions& options);

// Writes straight to the loggers (without `epoch`), at the start of the batches whose step metrics
// are logged and of epochs; also into the callback metrics. Source: Lightning,
// callbacks/lr_monitor.py. Thread rule: one strand only.
class LearningRateMonitor final : public Callback {
 public:
  using Options = LearningRateMonitorOptions;

  // Throws MisconfigurationException for an unknown interval.
  explicit LearningRateMonitor(LearningRateMonitorOptions options);

  std::string type_name() const override { return "LearningRateMonitor"; }

  // Throws MisconfigurationException when there is no logger.
  void on_train_start(Trainer& trainer, TrainableModule& module) override;
  void on_train_batch_start(Trainer& trainer, TrainableModule& module, const Batch& batch,
                            std::int64_t batch_idx) override;
  void on_train_epoch_start(Trainer& trainer, TrainableModule& module) override;

 private:
  void log(Trainer& trainer, std::string_view interval);

  LearningRateMonitorOptions options_;
};

}  // namespace lctl
