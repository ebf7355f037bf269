// ReduceLROnPlateau. Names and defaults are torch's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/trainer/optim/lr_scheduler.h"
#include "worker/trainer/optim/optimizer.h"

namespace lctl {

struct PlateauOptions {
  std::string mode = "min";  // or "max"
  double factor = 0.1;
  std::int64_t patience = 10;
  double threshold = 1e-4;
  std::string threshold_mode = "rel";  // or "abs"
  std::int64_t cooldown = 0;
  std::vector<double> min_lr = {0.0};  // one for all groups, or one per group
  double eps = 1e-8;
};

// Multiplies the rate by `factor` once the metric has not improved for more than `patience` steps.
// step() needs the metric: without it, std::invalid_argument.
std::unique_ptr<LRScheduler> reduce_lr_on_plateau(Optimizer& optimizer,
                                                  const PlateauOptions& options);

}  // namespace lctl
