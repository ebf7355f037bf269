#include "worker/trainer/loops/training_epoch_loop.h"

#include <fmt/format.h>

#include <cmath>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/loops/left_out_batches.h"

namespace lctl {
namespace {

bool leaves_out(const LoopContext& context, std::int64_t batch_idx) {
  return is_left_out(context.progress.fit.current_epoch(), batch_idx,
                     context.options.accumulate_grad_batches);
}

// A batch that an earlier attempt went astray on is counted and not trained on.
void count_left_out(const LoopContext& context) {
  FitProgress& fit = context.progress.fit;
  console::info(fmt::format("Batch {} of epoch {} is left out: training was rolled back for it.",
                            fit.batch_idx() + 1, fit.current_epoch()));
  fit.batch.increment_ready();
  fit.batch.increment_started();
  fit.batch.increment_processed();
  fit.batch.increment_completed();
}

}  // namespace

void TrainingEpochLoop::run(DataFetcher& fetcher) {
  reset(fetcher);
  finish_interrupted_batch();
  while (!done()) {
    const bool more = advance(fetcher);
    if (more) on_advance_end();
    restarting_ = false;
    stage_ = RestartStage::kNone;
    if (!more) break;
  }
}

bool TrainingEpochLoop::is_training_done() const {
  const std::int64_t max_steps = context_.options.max_steps;
  return (max_steps != -1 && context_.progress.fit.global_step() >= max_steps) ||
         num_ready_batches_reached();
}

bool TrainingEpochLoop::can_stop_early() const {
  const FitProgress& fit = context_.progress.fit;
  const bool epochs = limits_.min_epochs == 0 || fit.epoch.current.processed >= limits_.min_epochs;
  const std::optional<std::int64_t> min_steps = context_.options.min_steps;
  const bool steps = !min_steps || *min_steps == 0 || fit.global_step() >= *min_steps;
  return epochs && steps;
}

bool TrainingEpochLoop::done() {
  const bool validation_done = !restarting_ || val_loop_.has_run();
  if (is_training_done() && validation_done) return true;
  if (!context_.state.should_stop) return false;
  const bool can_stop = can_stop_early();
  if (!can_stop) {
    const std::optional<std::int64_t> min_steps = context_.options.min_steps;
    console::warn(
        fmt::format("Trainer was signaled to stop but the required `min_epochs={}` or "
                    "`min_steps={}` has not been met. "
                    "Training will continue...",
                    limits_.min_epochs, min_steps ? std::to_string(*min_steps) : "None"));
  }
  return can_stop;
}

bool TrainingEpochLoop::num_ready_batches_reached() const {
  const BatchProgress& batch = context_.progress.fit.batch;
  return batch.current.ready == limits_.num_training_batches || batch.is_last_batch;
}

bool TrainingEpochLoop::should_accumulate() const {
  const bool group_full =
      context_.progress.fit.batch.current.ready % context_.options.accumulate_grad_batches == 0;
  return !group_full && !num_ready_batches_reached();
}

void TrainingEpochLoop::update_restart_stage() {
  const AllFour& total = context_.progress.fit.batch.total;
  stage_ = RestartStage::kNone;
  if (restarting_ && total.started == total.ready && total.processed == total.started) {
    if (total.completed == total.processed - 1) stage_ = RestartStage::kOnTrainBatchEnd;
    if (total.completed == total.processed) stage_ = RestartStage::kOnLast;
  }
  val_loop_.update_restart_stage();
}

void TrainingEpochLoop::reset(DataFetcher& fetcher) {
  FitProgress& fit = context_.progress.fit;
  if (continue_from_ != TrainingPosition::kElsewhere &&
      continue_from_ != TrainingPosition::kEpochDone) {
    // Exact resume: counters and iterator are as they were.
    return;
  }
  if (restarting_ && !should_accumulate() &&
      (restarted_on_train_batch_end() || stage_ != RestartStage::kOnLast)) {
    ++fit.batches_that_stepped;  // checkpoints hold the value from before the end of the batch
  }
  if (restarted_on_train_batch_end()) {
    fit.batch.increment_completed();
    if (fit.batch.current.completed >= limits_.num_training_batches) {
      fit.batch.reset_on_run();
      fit.scheduler.reset_on_run();
      fit.optimizer.reset_on_run();
      fit.val_batch.total.reset();
    }
  }
  if (restarting_) {
    fit.batch.reset_on_restart();
    fit.scheduler.reset_on_restart();
    fit.optimizer.reset_on_restart();
    if (limits_.num_training_batches != kInfiniteBatches) {
      const std::int64_t factor = context_.options.accumulate_grad_batches;
      const std::int64_t expected = (limits_.num_training_batches + factor - 1) / factor;
      if (expected > 0 && fit.global_step() % expected != 0) {
        console::warn(
            "You're resuming from a checkpoint that ended before the epoch ended and your "
            "dataloader is not resumable. This can "
            "cause unreliable results if further training is done. Consider using an end-of-epoch "
            "checkpoint or make your "
            "dataloader resumable by implementing the `state_dict` / `load_state_dict` interface.");
      }
    }
  } else {
    fit.batch.reset_on_run();
    fit.scheduler.reset_on_run();
    fit.optimizer.reset_on_run();
    fit.val_batch.total.reset();
  }
  // The iterator of the first epoch was made when the loader was set up.
  if (fit.current_epoch() > 0 && !resuming_ && !restarting_) fetcher.start();
  fetcher.profile_as(context_.hooks.profiler(), "[_TrainingEpochLoop].train_dataloader_next");
  fetcher.add_fetched(fit.batch.current.ready);
}

// Does what a checkpoint taken inside a batch's last hooks had still before it.
void TrainingEpochLoop::finish_interrupted_batch() {
  const TrainingPosition position = continue_from_;
  continue_from_ = TrainingPosition::kElsewhere;
  if (position == TrainingPosition::kTrainBatchEnd) {
    context_.logs.on_batch_end();
    after_batch_hooks();
    on_advance_end();
  } else if (position == TrainingPosition::kValidationEnd) {
    context_.logs.set_first_loop_iter(context_.progress.fit.batch.current.ready <= 1);
    after_validation();
  }
}

bool TrainingEpochLoop::advance(DataFetcher& fetcher) {
  if (restarting_ && should_check_val()) {
    if (val_loop_.restarted_mid_evaluation()) return true;  // go back and finish that validation
    if (stage_ == RestartStage::kOnLast) {
      skip_next_val_ = true;  // saved at its end: it has run
      return true;
    }
    val_loop_.increment_progress_to_evaluation_end();
  }
  val_loop_.mark_restarting(false);
  FetchedBatch fetched;
  if (!fetcher.next(fetched)) return false;
  context_.progress.fit.batch.is_last_batch = fetcher.done();
  if (leaves_out(context_, context_.progress.fit.batch_idx() + 1)) {
    count_left_out(context_);
    if (num_ready_batches_reached())
      update_lr_schedulers(/*epoch_interval=*/true, /*plateau=*/false);
    return true;
  }
  const Batch batch = context_.data.to_device(std::move(fetched.batch), 0);
  return train_batch(batch);
}

// Returns false when the module ended the epoch.
bool TrainingEpochLoop::train_batch(const Batch& batch) {
  FitProgress& fit = context_.progress.fit;
  HookCaller& hooks = context_.hooks;
  const std::int64_t batch_idx = fit.batch_idx() + 1;
  fit.batch.increment_ready();
  context_.logs.on_batch_start(batch, std::nullopt);
  bool skip_rest = false;
  StepOutput output;
  if (batch.is_none()) {
    console::warn("train_dataloader yielded None. If this was on purpose, ignore this warning...");
  } else {
    hooks.callbacks(Hook::on_train_batch_start, &Callback::on_train_batch_start, batch, batch_idx);
    skip_rest = hooks.module(Hook::on_train_batch_start, &TrainableModule::on_train_batch_start,
                             batch, batch_idx) == -1;
    hooks.strategy(Hook::on_train_batch_start);
    if (skip_rest) {
      fit.batch.increment_by(0, true);
    } else {
      fit.batch.increment_started();
      const ActionScope action = hooks.profile("run_training_batch");
      output = hooks.module().automatic_optimization()
                   ? optimization_.run_automatic(batch, batch_idx, should_accumulate())
                   : optimization_.run_manual(batch, batch_idx);
    }
  }
  fit.batch.increment_processed();
  update_lr_schedulers(/*epoch_interval=*/false, /*plateau=*/false);
  if (num_ready_batches_reached()) update_lr_schedulers(/*epoch_interval=*/true, /*plateau=*/false);
  if (skip_rest) return false;

  context_.state.position = TrainingPosition::kTrainBatchEnd;
  hooks.both(Hook::on_train_batch_end, &Callback::on_train_batch_end,
             &TrainableModule::on_train_batch_end, output, batch, batch_idx);
  context_.state.position = TrainingPosition::kElsewhere;
  context_.logs.on_batch_end();
  after_batch_hooks();
  return true;
}

void TrainingEpochLoop::after_batch_hooks() {
  context_.progress.fit.batch.increment_completed();
  context_.logs.update_train_step_metrics(!should_accumulate() ||
                                          !context_.hooks.module().automatic_optimization());
}

void TrainingEpochLoop::on_advance_end() {
  bool check = should_check_val();
  if (skip_next_val_) {
    check = false;
    skip_next_val_ = false;
  }
  if (check) run_validation();
  after_validation();
}

void TrainingEpochLoop::run_validation() {
  context_.state.stage = Stage::kValidate;
  const std::optional<bool> first_iter = context_.logs.first_loop_iter();
  if (!should_accumulate()) {
    context_.hooks.module(Hook::on_validation_model_zero_grad,
                          &TrainableModule::on_validation_model_zero_grad);
  }
  val_loop_.run();
  context_.state.stage = Stage::kTrain;
  context_.logs.set_first_loop_iter(first_iter);
}

void TrainingEpochLoop::after_validation() {
  FitProgress& fit = context_.progress.fit;
  if (leaves_out(context_, fit.batch_idx())) {  // no step: the next boundary will do
    context_.requests.leave_if_asked();
    return;
  }
  update_lr_schedulers(/*epoch_interval=*/false, /*plateau=*/true);
  const bool accumulating = should_accumulate();
  if (!accumulating) ++fit.batches_that_stepped;
  if (context_.state.should_stop) {
    for (const auto& logger : context_.logs.loggers()) logger->save();
  }
  if (is_training_done()) return;  // the end of the epoch is a better moment
  context_.requests.leave_if_asked();
  if (!accumulating) {
    context_.state.position = TrainingPosition::kBatchDone;
    context_.checkpoints.poll();
    context_.requests.at_boundary();
    context_.state.position = TrainingPosition::kElsewhere;
  }
}

bool TrainingEpochLoop::should_check_val_epoch() const {
  if (!context_.data.validation_enabled()) return false;
  const std::optional<std::int64_t> every = context_.options.check_val_every_n_epoch;
  if (!every) return true;
  if (*every == 0)
    throw MisconfigurationException(
        "`check_val_every_n_epoch=0`: integer modulo by zero; use at least 1, or null");
  return (context_.progress.fit.current_epoch() + 1) % *every == 0;
}

bool TrainingEpochLoop::should_check_val() {
  if (!should_check_val_epoch()) return false;
  const FitProgress& fit = context_.progress.fit;
  const bool infinite =
      limits_.val_check_batch == kInfiniteBatches && !context_.options.val_check_time;
  const bool last = fit.batch.is_last_batch;
  if (last && infinite) return true;
  if (context_.state.should_stop && can_stop_early()) return true;
  if (const auto interval = context_.options.val_check_time) {
    const auto elapsed = context_.clock.monotonic_now() - val_loop_.last_end();
    return context_.strategy.reduce_boolean_decision(
        std::chrono::duration<double>(elapsed).count() >= *interval, /*all=*/false);
  }
  if (infinite) {
    const auto* limit = std::get_if<std::int64_t>(&context_.options.limit_train_batches.value());
    return limit != nullptr && *limit > 0 ? (fit.batch_idx() + 1) % *limit == 0 : last;
  }
  if (limits_.val_check_batch == 0)
    throw MisconfigurationException(
        "`val_check_interval=0`: integer modulo by zero; use at least 1");
  const std::int64_t iteration =
      context_.options.check_val_every_n_epoch ? fit.batch_idx() : fit.total_batch_idx();
  return (iteration + 1) % limits_.val_check_batch == 0;
}

void TrainingEpochLoop::update_lr_schedulers(bool epoch_interval, bool plateau) {
  if (context_.optimizers.lr_schedulers.empty() ||
      !context_.hooks.module().automatic_optimization())
    return;
  if (!epoch_interval && should_accumulate()) return;
  FitProgress& fit = context_.progress.fit;
  for (LRSchedulerConfig& config : context_.optimizers.lr_schedulers) {
    if (plateau != config.reduce_on_plateau) continue;
    if ((config.interval == "epoch") != epoch_interval) continue;
    const std::int64_t index = (epoch_interval ? fit.current_epoch() : fit.batch_idx()) + 1;
    if (index % config.frequency != 0) continue;
    double metric = 0;
    if (plateau) {
      const MetricDict& metrics = context_.logs.callback_metrics();
      const MetricValue* value = config.monitor ? metrics.find(*config.monitor) : nullptr;
      if (value == nullptr) {
        std::string available;
        for (const auto& [name, unused] : metrics.entries())
          available += (available.empty() ? "'" : ", '") + name + "'";
        const std::string monitor = config.monitor.value_or("None");
        if (config.strict) {
          throw MisconfigurationException(
              "ReduceLROnPlateau conditioned on metric " + monitor +
              " which is not available. Available metrics are: [" + available +
              "]. Condition can be set using `monitor` key in lr scheduler dict");
        }
        console::warn(
            "ReduceLROnPlateau conditioned on metric " + monitor +
            " which is not available but strict is set to `False`. Skipping learning rate update.");
        continue;
      }
      metric = value->number();
    }
    fit.scheduler.increment_ready();
    context_.hooks.module(Hook::lr_scheduler_step, &TrainableModule::lr_scheduler_step, config,
                          plateau ? &metric : nullptr);
    fit.scheduler.increment_completed();
  }
}

}  // namespace lctl
