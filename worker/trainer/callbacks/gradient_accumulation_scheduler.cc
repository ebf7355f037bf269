#include "worker/trainer/callbacks/gradient_accumulation_scheduler.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>
#include <vector>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {

GradientAccumulationScheduler::GradientAccumulationScheduler(
    std::map<std::int64_t, std::int64_t> scheduling)
    : scheduling_(std::move(scheduling)) {
  if (scheduling_.empty()) {
    throw MisconfigurationException("Empty dict cannot be interpreted correct");
  }
  std::vector<std::int64_t> epochs;
  std::vector<std::int64_t> factors;
  for (const auto& [epoch, factor] : scheduling_) {
    epochs.push_back(epoch);
    factors.push_back(factor);
  }
  if (*std::min_element(epochs.begin(), epochs.end()) < 0) {
    throw MisconfigurationException(fmt::format(
        "Epoch should be an int greater than or equal to 0. Got [{}].", fmt::join(epochs, ", ")));
  }
  if (*std::min_element(factors.begin(), factors.end()) < 1) {
    throw MisconfigurationException(
        fmt::format("Accumulation factor should be an int greater than 0. Got [{}].",
                    fmt::join(factors, ", ")));
  }
  scheduling_.emplace(0, 1);
}

std::int64_t GradientAccumulationScheduler::accumulate_grad_batches(std::int64_t epoch) const {
  return std::prev(scheduling_.upper_bound(epoch))->second;
}

void GradientAccumulationScheduler::on_train_start(Trainer& trainer, TrainableModule& module) {
  if (!module.automatic_optimization()) {
    throw std::runtime_error(
        "Automatic gradient accumulation and the `GradientAccumulationScheduler` is not supported "
        "for manual optimization. Please remove the callback or switch to automatic optimization.");
  }
  const bool replaces =
      module.overrides(Hook::optimizer_step) || module.overrides(Hook::optimizer_zero_grad);
  const bool accumulates = std::any_of(scheduling_.begin(), scheduling_.end(),
                                       [](const auto& entry) { return entry.second > 1; });
  if (replaces && accumulates) {
    console::warn(
        "When using `Trainer(accumulate_grad_batches != 1)` and overriding "
        "`LightningModule.optimizer_{step,zero_grad}`, the hooks will not be called on every batch "
        "(rather, they are called on every optimization step).");
  }
  if (trainer.options().accumulate_grad_batches != 1) {
    throw MisconfigurationException(
        "You have set `accumulate_grad_batches` and are using the `GradientAccumulationScheduler` "
        "callback. Either remove `accumulate_grad_batches` from the Trainer or remove the "
        "callback.");
  }
  if (trainer.fit_loop().continues_inside_epoch()) on_train_epoch_start(trainer, module);
}

void GradientAccumulationScheduler::on_train_epoch_start(Trainer& trainer,
                                                         TrainableModule& /*module*/) {
  trainer.options().accumulate_grad_batches = accumulate_grad_batches(trainer.current_epoch());
}

}  // namespace lctl
