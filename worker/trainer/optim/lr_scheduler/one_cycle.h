// OneCycleLR. Names and defaults are torch's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/optim/lr_scheduler/torch_scheduler.h"

namespace lctl {

// Lists have one element for all groups, or one per group.
struct OneCycleOptions {
  std::vector<double> max_lr;
  std::optional<std::int64_t> total_steps;  // or the two below
  std::optional<std::int64_t> epochs;
  std::optional<std::int64_t> steps_per_epoch;
  double pct_start = 0.3;
  std::string anneal_strategy = "cos";  // or "linear"
  bool cycle_momentum = true;           // of `momentum`, or of the first of `betas`
  std::vector<double> base_momentum = {0.85};
  std::vector<double> max_momentum = {0.95};
  double div_factor = 25.0;
  double final_div_factor = 10000.0;
  bool three_phase = false;
};

// The rate rises from max_lr / div_factor to max_lr and falls far below its start; momentum moves
// the other way. Stepping beyond total_steps throws std::invalid_argument.
std::unique_ptr<TorchScheduler> one_cycle_lr(Optimizer& optimizer, const OneCycleOptions& options);

}  // namespace lctl
