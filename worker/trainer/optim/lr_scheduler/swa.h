// SWALR: torch.optim.swa_utils' scheduler of the averaging phase.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/trainer/optim/lr_scheduler/torch_scheduler.h"

namespace lctl {

struct SwaLrOptions {
  std::vector<double> swa_lrs;  // one for all groups, or one for each
  std::int64_t anneal_epochs = 10;
  std::string anneal_strategy = "cos";  // or "linear"
  std::int64_t last_epoch = -1;         // where counting starts; the rates do not depend on it
};

// From each group's rate to its swa_lr in anneal_epochs steps, then constant. Writes `swa_lr` into
// the groups. Throws std::invalid_argument in torch's words.
std::unique_ptr<TorchScheduler> swa_lr(Optimizer& optimizer, const SwaLrOptions& options);

}  // namespace lctl
