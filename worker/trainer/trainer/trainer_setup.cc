// Trainer: what is connected and checked before a run.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/python_format.h"
#include "worker/trainer/loggers/graph_logger.h"
#include "worker/trainer/loggers/logger_with_callbacks.h"
#include "worker/trainer/optim/mock_optimizer.h"
#include "worker/trainer/strategies/layer_sync.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

void log_visible_gpus(const Accelerator& accelerator, int local_rank) {
  std::vector<int> all(static_cast<std::size_t>(accelerator.device_count()));
  std::iota(all.begin(), all.end(), 0);
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  console::info(fmt::format("LOCAL_RANK: {} - CUDA_VISIBLE_DEVICES: [{}]", local_rank,
                            visible != nullptr ? visible : fmt::format("{}", fmt::join(all, ","))));
}

}  // namespace

void Trainer::resolve_epoch_limits() {
  EpochLimits& limits = fit_loop_->limits();
  if (options_.max_epochs) {
    limits.max_epochs = *options_.max_epochs;
  } else if (options_.max_steps == -1 &&
             std::none_of(callbacks_.begin(), callbacks_.end(),
                          [](const auto& callback) { return callback->type_name() == "Timer"; })) {
    console::warn(
        "`max_epochs` was not set. Setting it to 1000 epochs. To train without an epoch limit, set "
        "`max_epochs=-1`.");
    limits.max_epochs = 1000;
  } else {
    limits.max_epochs = -1;
  }
  limits.min_epochs = options_.min_epochs.value_or(options_.min_steps ? 1 : 0);
}

void Trainer::warn_of_double_transfer_hooks() const {
  if (data_module() == nullptr) return;
  for (const Hook hook : {Hook::on_before_batch_transfer, Hook::transfer_batch_to_device,
                          Hook::on_after_batch_transfer}) {
    if (!module().overrides(hook)) continue;
    const bool both = data_module()->overrides(hook);
    console::warn(fmt::format(
        "You have overridden `{}` in {}. It will use the implementation from `{}` instance.",
        hook_name(hook),
        both ? "both `LightningModule` and `LightningDataModule`"
             : "`LightningModule` but have passed in a `LightningDataModule`",
        both ? "LightningDataModule" : "LightningModule"));
  }
}

void Trainer::attach_callbacks() {
  for (const auto& logger : logs_->loggers()) {  // rank 0's
    auto* follower = dynamic_cast<LoggerWithCallbacks*>(logger.get());
    if (follower == nullptr) continue;
    for (const auto& callback : follower->callbacks()) {
      if (std::find(callbacks_.begin(), callbacks_.end(), callback) == callbacks_.end())
        callbacks_.push_back(callback);
    }
  }
  std::vector<std::shared_ptr<Callback>> of_module;
  {
    const ActionScope action = hooks_.profile_module(Hook::configure_callbacks);
    of_module = hooks_.module().configure_callbacks();
  }
  std::set<std::string> replaced;
  std::erase_if(callbacks_, [&](const auto& callback) {
    const bool replaces = std::any_of(of_module.begin(), of_module.end(), [&](const auto& added) {
      return callback->type_name() == added->type_name();
    });
    if (replaces) replaced.insert(callback->type_name());
    return replaces;
  });
  if (!replaced.empty()) {
    console::info(fmt::format(
        "The following callbacks returned in `LightningModule.configure_callbacks` will override "
        "existing callbacks passed to Trainer: {}",
        fmt::join(replaced, ", ")));
  }
  callbacks_.insert(callbacks_.end(), of_module.begin(), of_module.end());
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

void Trainer::warn_of_skipped_validation() const {
  const bool has_step = module().overrides(Hook::validation_step);
  const bool has_loader = data_connector_->has_val_dataloader();
  if (has_loader && !has_step) {
    console::warn(
        "You passed in a `val_dataloader` but have no `validation_step`. Skipping val loop.");
  }
  if (has_step && !has_loader) {
    console::warn(
        "You defined a `validation_step` but have no `val_dataloader`. Skipping val loop.");
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
      warn_of_skipped_validation();
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
      if (!module.overrides(Hook::predict_step))
        throw MisconfigurationException("`Trainer.predict` requires `forward` method to run.");
      return;
  }
}

void Trainer::setup_profiler() {
  if (profiler() == nullptr) return;
  const RankLayout& layout = strategy_->layout();
  ProfiledRun run;
  run.stage = fn_name(state_.fn);
  if (strategy_->is_distributed()) {
    run.local_rank = layout.local_rank;
    run.distributed =
        fmt::format(R"({{"backend": "{}", "rank": {}, "world_size": {}}})",
                    accelerator_->backend_name(), layout.global_rank, layout.world_size);
  }
  // Only rank 0's loggers know the folder that they are going to write to.
  run.log_dir = strategy_->broadcast(is_global_zero() ? log_dir() : "");
  const c10::Device device = strategy_->root_device();
  if (!device.is_cpu()) {
    run.device = accelerator_->name();
    run.synchronize = [this, device] { accelerator_->synchronize(device); };
  }
  run.total_steps = [this](std::string_view step) { return total_steps(step); };
  profiler()->setup(std::move(run));
}

std::int64_t Trainer::total_steps(std::string_view step) const {
  if (step == "training_step") return num_training_batches();
  if (step == "test_step") return test_loop_->total_batches();
  if (step == "predict_step") return predict_loop_->total_batches();
  if (state_.fn == RunFn::kValidate) return validate_loop_->total_batches();
  return fit_loop_->val_loop().total_with_sanity_check();
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
  if (accelerator_->name() == "cuda") log_visible_gpus(*accelerator_, local_rank());
  module.move_to(strategy_->root_device(), std::nullopt);
  module.set_device(strategy_->root_device());
  precision_->convert_module(module);
  const bool training = state_.fn == RunFn::kFit;
  if (training && options_.sync_batchnorm && strategy_->is_distributed())
    apply_layer_sync(module, *strategy_);
  strategy_->setup_module(module, training);
  if (training) configure_optimizers();
}

void Trainer::configure_optimizers() {
  optimizers_ = hooks_.module(Hook::configure_optimizers, &TrainableModule::configure_optimizers);
  if (optimizers_.optimizers.empty()) {
    console::warn(
        "`LightningModule.configure_optimizers` returned `None`, this fit will run with no "
        "optimizer");
    optimizers_.add(std::make_unique<MockOptimizer>());
  }
  if (hooks_.module().automatic_optimization() && optimizers_.optimizers.size() > 1) {
    throw std::runtime_error(
        "Training with multiple optimizers is only supported with manual optimization. Set "
        "`self.automatic_optimization = False`, "
        "then access your optimizers in `training_step` with `opt1, opt2, ... = "
        "self.optimizers()`.");
  }
  for (LRSchedulerConfig& config : optimizers_.lr_schedulers) settle_lr_scheduler(config);
}

namespace {

// The user steps the scheduler: what says when and by which metric is of no use.
void forget_automatic_keys(LRSchedulerConfig& config) {
  std::vector<std::string_view> ignored;
  if (config.monitor) ignored.push_back("'monitor'");
  if (!config.strict) ignored.push_back("'strict'");
  if (!ignored.empty()) {
    console::warn(fmt::format(
        "The lr scheduler dict contains the key(s) [{}], but the keys will be ignored. You need to "
        "call `lr_scheduler.step()` manually in manual optimization.",
        fmt::join(ignored, ", ")));
  }
  config.monitor.reset();
  config.strict = true;
  config.reduce_on_plateau = false;
}

void check_automatic_keys(LRSchedulerConfig& config) {
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
  if (config.scheduler->type_name() == "OneCycleLR" && config.interval == "epoch") {
    console::warn(
        "A `OneCycleLR` scheduler is using 'interval': 'epoch'. Are you sure you didn't mean "
        "'interval': 'step'?");
  }
}

bool equal_hparams(const checkpoint::Value& a, const checkpoint::Value& b);

bool equal_lists(const std::vector<checkpoint::Value>& a, const std::vector<checkpoint::Value>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), equal_hparams);
}

bool equal_dicts(const checkpoint::Dict& a, const checkpoint::Dict& b) {
  if (a.size() != b.size()) return false;
  return std::all_of(a.entries().begin(), a.entries().end(), [&b](const auto& entry) {
    const checkpoint::Value* other =
        entry.key.is_int() ? b.find(entry.key.as_int()) : b.find(entry.key.as_string());
    return other != nullptr && equal_hparams(entry.value, *other);
  });
}

// Python's type(a) == type(b) and a == b; tensors are equal when they are the same.
bool equal_hparams(const checkpoint::Value& a, const checkpoint::Value& b) {
  if (std::string_view(a.type_name()) != b.type_name()) return false;
  if (a.is_bool()) return a.as_bool() == b.as_bool();
  if (a.is_int()) return a.as_int() == b.as_int();
  if (a.is_double()) return a.as_double() == b.as_double();
  if (a.is_string()) return a.as_string() == b.as_string();
  if (a.is_tensor()) return a.as_tensor().is_same(b.as_tensor());
  if (a.is_list()) return equal_lists(a.as_list(), b.as_list());
  if (a.is_tuple()) return equal_lists(a.as_tuple().items, b.as_tuple().items);
  if (a.is_dict()) return equal_dicts(a.as_dict(), b.as_dict());
  return true;  // None
}

}  // namespace

void Trainer::settle_lr_scheduler(LRSchedulerConfig& config) const {
  if (!config.scheduler) {
    throw MisconfigurationException(
        "The lr scheduler dict must have the key \"scheduler\" with its item being an lr "
        "scheduler");
  }
  if (module().automatic_optimization()) {
    check_automatic_keys(config);
  } else {
    forget_automatic_keys(config);
  }
  const bool ours = std::any_of(
      optimizers_.optimizers.begin(), optimizers_.optimizers.end(),
      [&](const auto& optimizer) { return optimizer.get() == &config.scheduler->optimizer(); });
  if (!ours) {
    throw MisconfigurationException(
        "Some schedulers are attached with an optimizer that wasn't returned from "
        "`configure_optimizers`.");
  }
}

checkpoint::Dict Trainer::merged_hyperparameters() const {
  checkpoint::Dict merged = module().hparams();
  if (data_module() == nullptr) return merged;
  std::vector<std::string> clashing;
  for (const auto& [name, value] : data_module()->hparams().entries()) {
    const checkpoint::Value* other = merged.find(name.as_string());
    if (other != nullptr && !equal_hparams(*other, value))
      clashing.push_back(python_repr(std::string_view(name.as_string())));
    merged.set(name.as_string(), value);
  }
  if (!clashing.empty()) {
    throw std::runtime_error(fmt::format(
        "Error while merging hparams: the keys [{}] are present in both the LightningModule's and "
        "LightningDataModule's hparams but have different values.",
        fmt::join(clashing, ", ")));
  }
  return merged;
}

void Trainer::log_hyperparameters() {
  // On every rank, so that a clash ends them all.
  const checkpoint::Dict hparams =
      logs_->has_user_logger() ? merged_hyperparameters() : module().hparams();
  for (const auto& logger : logs_->loggers()) {
    if (hparams.size() > 0) logger->log_hyperparams(hparams);
    if (auto* graphs = dynamic_cast<GraphLogger*>(logger.get())) graphs->log_graph(module());
    logger->save();
  }
}

}  // namespace lctl
