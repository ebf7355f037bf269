// CyclicLR. Names and defaults are torch's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/optim/lr_scheduler/torch_scheduler.h"

namespace lctl {

struct CyclicOptions {
  std::vector<double> base_lr;  // one for all groups, or one for each
  std::vector<double> max_lr;
  std::int64_t step_size_up = 2000;
  std::optional<std::int64_t> step_size_down;  // none: as up
  std::string mode = "triangular";             // or "triangular2", "exp_range"
  double gamma = 1.0;                          // for exp_range
  bool cycle_momentum = true;
  std::vector<double> base_momentum = {0.8};
  std::vector<double> max_momentum = {0.9};
};

// Up and down between the rates; the height halves with each cycle (triangular2) or shrinks by
// gamma with each step (exp_range). Source: Smith, "Cyclical Learning Rates for Training Neural
// Networks" (WACV 2017). Throws std::invalid_argument in torch's words.
std::unique_ptr<TorchScheduler> cyclic_lr(Optimizer& optimizer, const CyclicOptions& options);

}  // namespace lctl
