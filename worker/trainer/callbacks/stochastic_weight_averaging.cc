#include "worker/trainer/callbacks/stochastic_weight_averaging.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/optim/lr_scheduler/swa.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {

using Part = AveragedModel::Part;

StochasticWeightAveraging::StochasticWeightAveraging(StochasticWeightAveragingOptions options)
    : options_(std::move(options)) {
  const auto* epoch = std::get_if<std::int64_t>(&options_.swa_epoch_start);
  const double* share = std::get_if<double>(&options_.swa_epoch_start);
  if ((epoch != nullptr && *epoch < 1) || (share != nullptr && !(*share >= 0 && *share <= 1))) {
    throw MisconfigurationException(
        "swa_epoch_start should be a >0 integer or a float between 0 and 1.");
  }
  const auto& lrs = options_.swa_lrs;
  if (lrs.empty() || !std::all_of(lrs.begin(), lrs.end(), [](double lr) { return lr > 0; })) {
    throw MisconfigurationException(
        "The `swa_lrs` should a positive float, or a list of positive floats");
  }
}

checkpoint::Dict StochasticWeightAveraging::state_dict() {
  checkpoint::Dict state;
  state.set("n_averaged", count_);
  state.set("latest_update_epoch", latest_update_epoch_);
  state.set("scheduler_state", scheduler_ == nullptr ? checkpoint::Value()
                                                     : checkpoint::Value(scheduler_->state_dict()));
  if (averaged_) {
    checkpoint::Dict average = averaged_->state_dict();
    average.ordered = true;
    average.metadata = metadata_;
    state.set("average_model_state", std::move(average));
  } else {
    state.set("average_model_state", checkpoint::Value());
  }
  return state;
}

void StochasticWeightAveraging::load_state_dict(const checkpoint::Dict& state) {
  count_ = state.at("n_averaged").as_int();
  latest_update_epoch_ = state.at("latest_update_epoch").as_int();
  const checkpoint::Value& scheduler = state.at("scheduler_state");
  if (scheduler.is_dict()) scheduler_state_ = scheduler.as_dict();
  const checkpoint::Value& average = state.at("average_model_state");
  if (averaged_ && average.is_dict()) {
    averaged_->load_state_dict(average.as_dict(), /*strict=*/true);
  }
}

void StochasticWeightAveraging::setup(Trainer& /*trainer*/, TrainableModule& module,
                                      std::string_view stage) {
  if (stage != "fit") return;
  averaged_.emplace(module, c10::Device(c10::DeviceType::CPU));
  metadata_ = module.state_dict().metadata;
  scheduler_ = nullptr;
  count_ = 0;
  latest_update_epoch_ = -1;
}

void StochasticWeightAveraging::on_fit_start(Trainer& trainer, TrainableModule& module) {
  OptimizersConfig& optimizers = trainer.optimizers();
  if (optimizers.optimizers.size() != 1)
    throw MisconfigurationException("SWA currently works with 1 `optimizer`.");
  if (optimizers.lr_schedulers.size() > 1)
    throw MisconfigurationException("SWA currently not supported for more than 1 `lr_scheduler`.");
  std::int64_t& max_epochs = trainer.fit_loop().limits().max_epochs;
  std::int64_t start = 0;
  if (const double* share = std::get_if<double>(&options_.swa_epoch_start)) {
    if (max_epochs == -1) {
      throw MisconfigurationException(
          "SWA with `swa_epoch_start` as a float is not supported when `max_epochs=-1`. Please "
          "provide `swa_epoch_start` as an integer.");
    }
    start = static_cast<std::int64_t>(static_cast<double>(max_epochs) * *share);
  } else {
    start = std::get<std::int64_t>(options_.swa_epoch_start);
  }
  first_epoch_ = std::max<std::int64_t>(start - 1, 0);
  last_epoch_ = max_epochs == -1 ? -1 : max_epochs - 1;
  if (last_epoch_ != -1 && first_epoch_ > last_epoch_) {
    console::warn(fmt::format(
        "StochasticWeightAveraging(swa_epoch_start={}) is past the last of max_epochs={} epochs: "
        "nothing will be averaged, and, as in Lightning, training will end with the weights that "
        "it began with. Choose an earlier epoch, or remove the callback.",
        start, max_epochs));
  }
  has_batch_norm_ = module.has_batch_norm();
  if (has_batch_norm_ && max_epochs != -1) ++max_epochs;  // to gather their statistics
  // The file's scheduler state would not fit; the phase begins anew with scheduler_state_.
  if (scheduler_state_) optimizers.lr_schedulers.clear();
}

void StochasticWeightAveraging::on_train_start(Trainer& trainer, TrainableModule& module) {
  if (!trainer.fit_loop().continues_inside_epoch()) return;
  const std::int64_t epoch = trainer.current_epoch();
  if (averages_in(epoch)) begin_phase(trainer, module);
  if (gathers_statistics_in(epoch)) begin_statistics_epoch(trainer, module, /*from_zero=*/false);
}

bool StochasticWeightAveraging::averages_in(std::int64_t epoch) const {
  return first_epoch_ <= epoch && (last_epoch_ == -1 || epoch <= last_epoch_);
}

bool StochasticWeightAveraging::gathers_statistics_in(std::int64_t epoch) const {
  return last_epoch_ != -1 && epoch == last_epoch_ + 1;
}

void StochasticWeightAveraging::begin_phase(Trainer& trainer, TrainableModule& module) {
  averaged_->move_to(options_.device ? c10::Device(*options_.device) : module.device());
  OptimizersConfig& optimizers = trainer.optimizers();
  Optimizer& optimizer = *optimizers.optimizers.front();
  SwaLrOptions options;
  options.swa_lrs = per_group("swa_lr", options_.swa_lrs, optimizer.param_groups().size());
  options.anneal_epochs = options_.annealing_epochs;
  options.anneal_strategy = options_.annealing_strategy;
  options.last_epoch = options_.annealing_strategy == "cos" ? trainer.max_epochs() : -1;
  for (std::size_t i = 0; i < options.swa_lrs.size(); ++i)
    optimizer.param_groups()[i].options.set("initial_lr", options.swa_lrs[i]);
  LRSchedulerConfig config;
  config.scheduler = swa_lr(optimizer, options);
  scheduler_ = config.scheduler.get();
  if (scheduler_state_) {
    scheduler_->load_state_dict(*scheduler_state_);
  } else if (trainer.current_epoch() != first_epoch_) {
    console::warn(
        "SWA is initializing after swa_start without any checkpoint data. This may be caused by "
        "loading a checkpoint from an older version of PyTorch Lightning.");
  }
  if (optimizers.lr_schedulers.empty()) {
    optimizers.lr_schedulers.push_back(std::move(config));
    return;
  }
  LRSchedulerConfig& replaced = optimizers.lr_schedulers.front();
  if (replaced.interval != "epoch" || replaced.frequency != 1) {
    console::warn(fmt::format(
        "SWA is currently only supported every epoch. Found a scheduler with interval={}, "
        "frequency={}",
        replaced.interval, replaced.frequency));
  }
  console::info(fmt::format("Swapping scheduler `{}` for `{}`", replaced.scheduler->type_name(),
                            scheduler_->type_name()));
  replaced = std::move(config);
}

void StochasticWeightAveraging::begin_statistics_epoch(Trainer& trainer, TrainableModule& module,
                                                       bool from_zero) {
  std::int64_t& batches = trainer.fit_loop().limits().num_training_batches;
  if (batches == kInfiniteBatches) {
    throw MisconfigurationException(
        "StochasticWeightAveraging: Iterable-style datasets are not supported with batch "
        "normalisation; give the loader a length, or limit_train_batches an int");
  }
  module.begin_statistics(from_zero);
  // One pass over the data without backward: a batch more than there is, so that all accumulate.
  ++batches;
  trainer.fit_loop().epoch_loop().optimization().set_skip_backward(true);
  accumulate_grad_batches_ = trainer.options().accumulate_grad_batches;
  trainer.options().accumulate_grad_batches = batches;
}

void StochasticWeightAveraging::on_train_epoch_start(Trainer& trainer, TrainableModule& module) {
  const std::int64_t epoch = trainer.current_epoch();
  if (averages_in(epoch)) {
    if (scheduler_ == nullptr) begin_phase(trainer, module);
    if (epoch > latest_update_epoch_) {
      averaged_->update(Part::kParameters, count_++, options_.average);
      latest_update_epoch_ = epoch;
    }
  }
  if (gathers_statistics_in(epoch)) {
    averaged_->copy_to_module(Part::kParameters);
    begin_statistics_epoch(trainer, module, /*from_zero=*/true);
  }
}

void StochasticWeightAveraging::on_train_epoch_end(Trainer& trainer, TrainableModule& /*module*/) {
  trainer.fit_loop().epoch_loop().optimization().set_skip_backward(false);
}

void StochasticWeightAveraging::on_train_end(Trainer& trainer, TrainableModule& module) {
  const std::int64_t finished = trainer.current_epoch() - 1;  // the trainer has counted it
  if (has_batch_norm_ && gathers_statistics_in(finished)) {
    EpochLimits& limits = trainer.fit_loop().limits();
    trainer.options().accumulate_grad_batches = accumulate_grad_batches_;
    --limits.num_training_batches;
    --limits.max_epochs;
    module.end_statistics();
  } else if (last_epoch_ == -1 || finished == last_epoch_) {
    averaged_->copy_to_module(Part::kParameters);
  } else if (count_ > 0) {
    console::warn(
        "Training ended before its last epoch: StochasticWeightAveraging leaves the weights as "
        "trained, as Lightning does; the average is in the callback's state of the checkpoints.");
  }
}

}  // namespace lctl
