// Trainer: what is connected and checked before a run.
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {

void Trainer::resolve_epoch_limits() {
  EpochLimits& limits = fit_loop_->limits();
  if (options_.max_epochs) {
    limits.max_epochs = *options_.max_epochs;
  } else if (options_.max_steps == -1 && !options_.max_time) {
    console::warn(
        "`max_epochs` was not set. Setting it to 1000 epochs. To train without an epoch limit, set "
        "`max_epochs=-1`.");
    limits.max_epochs = 1000;
  } else {
    limits.max_epochs = -1;
  }
  limits.min_epochs = options_.min_epochs.value_or(options_.min_steps ? 1 : 0);
}

void Trainer::attach_callbacks() {
  for (const auto& added : hooks_.module().configure_callbacks()) {
    std::erase_if(callbacks_, [&](const auto& callback) {
      return callback->type_name() == added->type_name();
    });
    callbacks_.push_back(added);
  }
  // Tuners first, checkpoints last; all else keeps its order.
  std::stable_sort(callbacks_.begin(), callbacks_.end(), [](const auto& a, const auto& b) {
    const auto place = [](const auto& callback) {
      return callback->kind() == Callback::Kind::kTuner        ? 0
             : callback->kind() == Callback::Kind::kCheckpoint ? 2
                                                               : 1;
    };
    return place(a) < place(b);
  });
  for (const auto& callback : callbacks_) {
    if (auto* observer = dynamic_cast<HookObserver*>(callback.get()))
      hooks_.observe(observer, callback.get());
  }
}

void Trainer::verify_configuration() const {
  const TrainableModule& module = hooks_.module();
  const auto step_missing = [&](Hook step, const char* name) {
    if (!module.overrides(step)) {
      throw MisconfigurationException(fmt::format(
          "No `{}_step()` method defined to run `Trainer.{}`.", name, fn_name(state_.fn)));
    }
  };
  switch (state_.fn) {
    case RunFn::kFit:
      for (const Hook needed : {Hook::training_step, Hook::configure_optimizers}) {
        if (!module.overrides(needed)) {
          throw MisconfigurationException(
              fmt::format("No `{}()` method defined. Lightning `Trainer` expects as minimum a "
                          "`training_step()`, `train_dataloader()` and "
                          "`configure_optimizers()` to be defined.",
                          hook_name(needed)));
        }
      }
      if (!module.automatic_optimization()) {
        if (options_.gradient_clip_val.value_or(0) > 0) {
          throw MisconfigurationException(
              fmt::format("Automatic gradient clipping is not supported for manual optimization. "
                          "Remove `Trainer(gradient_clip_val={})` or "
                          "switch to automatic optimization.",
                          *options_.gradient_clip_val));
        }
        if (options_.accumulate_grad_batches != 1) {
          throw MisconfigurationException(fmt::format(
              "Automatic gradient accumulation is not supported for manual optimization. Remove "
              "`Trainer(accumulate_grad_batches={})` or switch to automatic optimization.",
              options_.accumulate_grad_batches));
        }
      }
      return;
    case RunFn::kValidate:
      return step_missing(Hook::validation_step, "validation");
    case RunFn::kTest:
      return step_missing(Hook::test_step, "test");
    case RunFn::kPredict:
      return step_missing(Hook::predict_step, "predict");
  }
}

void Trainer::setup_hooks() {
  if (is_global_zero()) {
    for (const auto& logger : loggers_) logger->start();
  }
  strategy_->barrier();
  const std::string_view stage = fn_name(state_.fn);
  hooks_.module().set_device(strategy_->root_device());
  if (data_module() != nullptr) hooks_.data_module(Hook::setup, &LightningDataModule::setup, stage);
  hooks_.both(Hook::setup, &Callback::setup, &TrainableModule::setup, stage);
  strategy_->barrier();
}

void Trainer::setup_strategy() {
  TrainableModule& module = hooks_.module();
  accelerator_->set_device(strategy_->root_device());
  module.move_to(strategy_->root_device(), std::nullopt);
  module.set_device(strategy_->root_device());
  precision_->convert_module(module);
  const bool training = state_.fn == RunFn::kFit;
  strategy_->setup_module(module, training);
  if (training) configure_optimizers();
}

void Trainer::configure_optimizers() {
  optimizers_ = hooks_.module(Hook::configure_optimizers, &TrainableModule::configure_optimizers);
  if (optimizers_.optimizers.empty()) {
    console::warn(
        "`LightningModule.configure_optimizers` returned `None`, this fit will run with no "
        "optimizer");
  }
  if (hooks_.module().automatic_optimization() && optimizers_.optimizers.size() > 1) {
    throw std::runtime_error(
        "Training with multiple optimizers is only supported with manual optimization. Set "
        "`self.automatic_optimization = False`, "
        "then access your optimizers in `training_step` with `opt1, opt2, ... = "
        "self.optimizers()`.");
  }
  for (LRSchedulerConfig& config : optimizers_.lr_schedulers) {
    if (!config.scheduler) {
      throw MisconfigurationException(
          "The lr scheduler dict must have the key \"scheduler\" with its item being an lr "
          "scheduler");
    }
    if (config.interval != "step" && config.interval != "epoch") {
      throw MisconfigurationException(
          "The \"interval\" key in lr scheduler dict must be \"step\" or \"epoch\" but is \"" +
          config.interval + "\"");
    }
    if (config.frequency < 1)
      throw MisconfigurationException(
          "The \"frequency\" key in lr scheduler dict must be at least 1");
    config.reduce_on_plateau = config.scheduler->is_reduce_on_plateau();
    if (config.reduce_on_plateau && !config.monitor) {
      throw MisconfigurationException(
          "The lr scheduler dict must include a monitor when a `ReduceLROnPlateau` scheduler is "
          "used. For example: {\"optimizer\": "
          "optimizer, \"lr_scheduler\": {\"scheduler\": scheduler, \"monitor\": \"your_loss\"}}");
    }
    const bool ours = std::any_of(
        optimizers_.optimizers.begin(), optimizers_.optimizers.end(),
        [&](const auto& optimizer) { return optimizer.get() == &config.scheduler->optimizer(); });
    if (!ours) {
      throw MisconfigurationException(
          "Some schedulers are attached with an optimizer that wasn't returned from "
          "`configure_optimizers`.");
    }
    if (config.scheduler->type_name() == "OneCycleLR" && config.interval == "epoch") {
      console::warn(
          "A `OneCycleLR` scheduler is using 'interval': 'epoch'. Are you sure you didn't mean "
          "'interval': 'step'?");
    }
  }
}

void Trainer::log_hyperparameters() {
  const std::vector<std::shared_ptr<Logger>>& writing = logs_->loggers();
  if (writing.empty()) return;
  checkpoint::Dict hparams = module().hparams();
  if (data_module() != nullptr) {
    for (const auto& [name, value] : data_module()->hparams().entries()) {
      if (hparams.find(name.as_string()) == nullptr) hparams.set(name.as_string(), value);
    }
  }
  for (const auto& logger : writing) {
    if (hparams.size() > 0) logger->log_hyperparams(hparams);
    logger->save();
  }
}

}  // namespace lctl
