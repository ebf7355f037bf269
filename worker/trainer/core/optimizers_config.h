// What configure_optimizers returns.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/optim/lr_scheduler.h"
#include "worker/trainer/optim/optimizer.h"

namespace lctl {

// Lightning's lr_scheduler dictionary with its defaults.
struct LRSchedulerConfig {
  std::unique_ptr<LRScheduler> scheduler;
  std::optional<std::string> name;  // LearningRateMonitor's key
  std::string interval = "epoch";   // "epoch" or "step"
  std::int64_t frequency = 1;
  bool reduce_on_plateau = false;      // set by the trainer from the scheduler's kind
  std::optional<std::string> monitor;  // the metric that a plateau scheduler watches
  bool strict = true;                  // a missing monitor is an error
};

// Move-only. Schedulers refer to optimizers of the same list.
struct OptimizersConfig {
  std::vector<std::unique_ptr<Optimizer>> optimizers;
  std::vector<LRSchedulerConfig> lr_schedulers;
};

}  // namespace lctl
