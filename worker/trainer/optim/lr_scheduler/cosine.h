// CosineAnnealingLR and CosineAnnealingWarmRestarts. Names and defaults are torch's.
#pragma once

#include <cstdint>
#include <memory>

#include "worker/trainer/optim/lr_scheduler/torch_scheduler.h"

namespace lctl {

// From the base rate to eta_min over t_max epochs along half a cosine, and back again.
// Throws std::invalid_argument for a t_max of 0.
std::unique_ptr<TorchScheduler> cosine_annealing_lr(Optimizer& optimizer, std::int64_t t_max,
                                                    double eta_min = 0.0);

// The same, starting anew after t_0 epochs, each period t_mult times as long as the one before.
// Throws std::invalid_argument in torch's words.
std::unique_ptr<TorchScheduler> cosine_annealing_warm_restarts(Optimizer& optimizer,
                                                               std::int64_t t_0,
                                                               std::int64_t t_mult = 1,
                                                               double eta_min = 0.0);

}  // namespace lctl
