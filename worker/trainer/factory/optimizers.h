// Optimizers and learning rate schedulers by the names that a job file gives them.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "jobspec/config.h"
#include "worker/trainer/core/optimizers_config.h"

namespace lctl {

// Throw std::invalid_argument in torch's words.
std::unique_ptr<Optimizer> make_optimizer(const jobspec::ClassSpec& spec,
                                          std::vector<at::Tensor> parameters);
std::unique_ptr<LRScheduler> make_lr_scheduler(const jobspec::ClassSpec& spec,
                                               Optimizer& optimizer);

// What configure_optimizers of a declarative module returns.
OptimizersConfig make_optimizers(const std::optional<jobspec::ClassSpec>& optimizer,
                                 const std::optional<jobspec::LrSchedulerSpec>& lr_scheduler,
                                 std::vector<at::Tensor> parameters);

std::vector<std::string_view> optimizer_names();
std::vector<std::string_view> lr_scheduler_names();

}  // namespace lctl
