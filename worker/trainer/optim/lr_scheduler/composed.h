// Schedulers made of others: SequentialLR and ChainedScheduler.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "worker/trainer/optim/lr_scheduler/torch_scheduler.h"

namespace lctl {

// One after another; schedulers[i + 1] takes over at milestones[i]. All must belong to `optimizer`
// and have been built in this order. Throws std::invalid_argument in torch's words.
std::unique_ptr<TorchScheduler> sequential_lr(Optimizer& optimizer,
                                              std::vector<std::unique_ptr<LRScheduler>> schedulers,
                                              std::vector<std::int64_t> milestones);

// All of them at every step. At least one; all must belong to one optimizer.
std::unique_ptr<TorchScheduler> chained_scheduler(
    std::vector<std::unique_ptr<LRScheduler>> schedulers);

}  // namespace lctl
