// LightningModule: what a module may ask of the run that it is in.
#include <stdexcept>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/gradient_clipping.h"
#include "worker/trainer/core/lightning_module.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {

Trainer& LightningModule::run() const {
  if (trainer() == nullptr) {
    throw std::logic_error(type_name() +
                           " is not attached to a `Trainer`: this works from `setup` on, inside "
                           "fit, validate, test and predict");
  }
  return *trainer();
}

std::int64_t LightningModule::current_epoch() const { return run().current_epoch(); }
std::int64_t LightningModule::global_step() const { return run().global_step(); }
int LightningModule::global_rank() const { return run().global_rank(); }
int LightningModule::local_rank() const { return run().local_rank(); }

std::vector<std::shared_ptr<Logger>> LightningModule::loggers() const {
  if (!run().is_global_zero()) return {};
  std::vector<std::shared_ptr<Logger>> mine;
  for (const auto& logger : run().loggers()) {
    if (logger->is_user_logger()) mine.push_back(logger);
  }
  return mine;
}

std::shared_ptr<Logger> LightningModule::logger() const { return run().logger(); }

void LightningModule::print(std::string_view text) const { run().print(text); }

at::Tensor LightningModule::all_gather(const at::Tensor& tensor) const {
  return run().strategy().all_gather(tensor.detach());
}

std::vector<LightningOptimizer> LightningModule::optimizers() const {
  std::vector<LightningOptimizer> wrapped;
  for (const auto& optimizer : run().optimizers().optimizers)
    wrapped.emplace_back(run(), *optimizer);
  return wrapped;
}

std::vector<LRScheduler*> LightningModule::lr_schedulers() const {
  std::vector<LRScheduler*> schedulers;
  for (const LRSchedulerConfig& config : run().optimizers().lr_schedulers)
    schedulers.push_back(config.scheduler.get());
  return schedulers;
}

void LightningModule::manual_backward(const at::Tensor& loss) {
  if (automatic_optimization()) {
    throw MisconfigurationException(
        "`manual_backward` is for manual optimization only: call "
        "`set_automatic_optimization(false)` in the module's constructor, or return the loss from "
        "`training_step` and leave the backward pass to the Trainer");
  }
  run().manual_backward(loss);
}

void LightningModule::clip_gradients(LightningOptimizer& optimizer, double gradient_clip_val,
                                     ClipAlgorithm algorithm) {
  if (const auto configured = run().options().gradient_clip_val; configured) {
    throw MisconfigurationException(
        "You have set `Trainer(gradient_clip_val=" + std::to_string(*configured) +
        ")` and have passed `clip_gradients(gradient_clip_val=" +
        std::to_string(gradient_clip_val) + ")`. Please use only one of them.");
  }
  if (gradient_clip_val > 0)
    lctl::clip_gradients(optimizer.optimizer(), gradient_clip_val, algorithm);
}

void LightningModule::toggle_optimizer(LightningOptimizer& optimizer) {
  toggled_.clear();
  const auto belongs = [](Optimizer& owner, const at::Tensor& parameter) {
    for (const ParamGroup& group : owner.param_groups()) {
      for (const at::Tensor& mine : group.params) {
        if (mine.is_same(parameter)) return true;
      }
    }
    return false;
  };
  for (const auto& other : run().optimizers().optimizers) {
    if (other.get() == &optimizer.optimizer()) continue;
    for (const ParamGroup& group : other->param_groups()) {
      for (at::Tensor parameter : group.params) {
        if (belongs(optimizer.optimizer(), parameter)) continue;
        toggled_.emplace_back(parameter, parameter.requires_grad());
        parameter.set_requires_grad(false);
      }
    }
  }
}

void LightningModule::untoggle_optimizer(LightningOptimizer&) {
  // Backwards: of a parameter that two optimizers share the first entry has the state from before.
  for (auto entry = toggled_.rbegin(); entry != toggled_.rend(); ++entry)
    entry->first.set_requires_grad(entry->second);
  toggled_.clear();
}

void LightningModule::freeze() {
  for (at::Tensor& parameter : parameters()) parameter.set_requires_grad(false);
  eval();
}

void LightningModule::unfreeze() {
  for (at::Tensor& parameter : parameters()) parameter.set_requires_grad(true);
  train();
}

}  // namespace lctl
