// Schedulers that multiply the rate by a factor: StepLR, MultiStepLR, ConstantLR, LinearLR,
// ExponentialLR, PolynomialLR. Names and defaults are torch's.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "worker/trainer/optim/lr_scheduler/torch_scheduler.h"

namespace lctl {

// Every step_size epochs by gamma. Throws std::invalid_argument for a step_size of 0.
std::unique_ptr<TorchScheduler> step_lr(Optimizer& optimizer, std::int64_t step_size,
                                        double gamma = 0.1);

// At each milestone by gamma; one that is listed twice counts twice.
std::unique_ptr<TorchScheduler> multi_step_lr(Optimizer& optimizer,
                                              const std::vector<std::int64_t>& milestones,
                                              double gamma = 0.1);

// By factor until total_iters. Throws std::invalid_argument unless 0 <= factor <= 1.
std::unique_ptr<TorchScheduler> constant_lr(Optimizer& optimizer, double factor = 1.0 / 3,
                                            std::int64_t total_iters = 5);

// From start_factor to end_factor over total_iters. Throws std::invalid_argument in torch's words.
std::unique_ptr<TorchScheduler> linear_lr(Optimizer& optimizer, double start_factor = 1.0 / 3,
                                          double end_factor = 1.0, std::int64_t total_iters = 5);

// By gamma each time.
std::unique_ptr<TorchScheduler> exponential_lr(Optimizer& optimizer, double gamma);

// To 0 over total_iters, as a polynomial of that power.
std::unique_ptr<TorchScheduler> polynomial_lr(Optimizer& optimizer, std::int64_t total_iters = 5,
                                              double power = 1.0);

}  // namespace lctl
