// What configure_optimizers returns.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
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

// What Lightning's configure_optimizers may return: nothing, an optimizer, one with its scheduler
// dictionary, or lists. Move-only. Schedulers refer to optimizers of the same list.
//
//   auto optimizer = adam_w(parameters(), {.lr = 1e-3});
//   auto scheduler = step_lr(*optimizer, /*step_size=*/10);
//   return {std::move(optimizer), {.scheduler = std::move(scheduler), .interval = "step"}};
struct OptimizersConfig {
  OptimizersConfig() = default;
  template <std::derived_from<Optimizer> T>
  OptimizersConfig(std::unique_ptr<T> optimizer) {  // NOLINT: return optimizer;
    optimizers.push_back(std::move(optimizer));
  }
  template <std::derived_from<Optimizer> T>
  OptimizersConfig(std::unique_ptr<T> optimizer, LRSchedulerConfig lr_scheduler) {
    optimizers.push_back(std::move(optimizer));
    lr_schedulers.push_back(std::move(lr_scheduler));
  }
  // A further one; manual optimisation may have several.
  void add(std::unique_ptr<Optimizer> optimizer) { optimizers.push_back(std::move(optimizer)); }
  void add(std::unique_ptr<Optimizer> optimizer, LRSchedulerConfig lr_scheduler) {
    optimizers.push_back(std::move(optimizer));
    lr_schedulers.push_back(std::move(lr_scheduler));
  }

  std::vector<std::unique_ptr<Optimizer>> optimizers;
  std::vector<LRSchedulerConfig> lr_schedulers;
};

}  // namespace lctl
