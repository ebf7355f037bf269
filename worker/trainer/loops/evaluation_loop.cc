#include "worker/trainer/loops/evaluation_loop.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <optional>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/loops/results_table.h"

namespace lctl {

EvaluationLoop::EvaluationLoop(LoopContext& context, RunFn fn, BatchProgress& progress,
                               bool verbose, bool inference_mode)
    : context_(context),
      fn_(fn),
      progress_(progress),
      verbose_(verbose),
      inference_mode_(inference_mode) {}

std::vector<std::int64_t> EvaluationLoop::max_batches() const {
  std::vector<std::int64_t> batches = data_.limits;
  if (context_.state.sanity_checking() && context_.options.num_sanity_val_steps >= 0) {
    for (std::int64_t& count : batches)
      count = std::min(count, context_.options.num_sanity_val_steps.value());
  }
  return batches;
}

std::int64_t EvaluationLoop::total_with_sanity_check() const {
  std::int64_t total = data_.total();
  const std::int64_t most = context_.options.num_sanity_val_steps;
  for (const std::int64_t count : data_.limits) {
    const std::int64_t checked = most < 0 ? count : std::min(count, most);
    if (total == kInfiniteBatches || checked == kInfiniteBatches) return kInfiniteBatches;
    total += checked;
  }
  return total;
}

void EvaluationLoop::setup_data() {
  const TrainerOptions& options = context_.options;
  const bool fitting = fn_ == RunFn::kFit;
  const std::int64_t epoch = context_.progress.fit.current_epoch();
  const std::int64_t every = options.reload_dataloaders_every_n_epochs;
  const bool reload = every > 0 && (last_reload_epoch == std::numeric_limits<std::int64_t>::min() ||
                                    epoch - last_reload_epoch >= every);
  if (data_.loaded && fitting && !reload) return;
  const Limit& limit = testing() ? options.limit_test_batches : options.limit_val_batches;
  const Hook step_hook = testing() ? Hook::test_step : Hook::validation_step;
  if (is_zero(limit) || !context_.hooks.module().overrides(step_hook)) return;
  const std::optional<std::int64_t> check_every = options.check_val_every_n_epoch;
  const bool epoch_validates = !check_every || (epoch + 1) % *check_every == 0;
  if (fitting && (!context_.state.sanity_checking() || epoch_validates)) last_reload_epoch = epoch;
  data_ = context_.data.load_evaluation(stage());
  context_.strategy.barrier();
  seen_batches.clear();
}

std::vector<MetricDict> EvaluationLoop::run() {
  const bool inference = inference_mode_ && !(context_.strategy.is_distributed() &&
                                              context_.strategy.root_device().is_cpu());
  std::optional<c10::InferenceMode> inference_guard;
  std::optional<at::NoGradGuard> no_grad_guard;
  if (inference) {
    inference_guard.emplace(true);
  } else {
    no_grad_guard.emplace();
  }
  setup_data();
  std::int64_t total = 0;
  for (const std::int64_t count : max_batches())
    total = count == kInfiniteBatches ? count : std::max(total, count);
  if (total == 0) return {};
  reset();
  on_run_start();
  run_batches();
  store_outputs();
  return on_run_end();
}

void EvaluationLoop::reset() {
  has_run_ = false;
  outputs_.clear();
  if (restarting_) {
    progress_.reset_on_restart();
  } else {
    progress_.reset_on_run();
  }
  if (context_.state.fn != RunFn::kFit) progress_.reset_on_run();
  if (context_.state.fn == RunFn::kFit) {
    for (const auto& loader : data_.loaders)
      loader->set_epoch(context_.progress.fit.epoch.current.processed);
  }
  fetcher_.setup(data_.loaders, max_batches());
  fetcher_.start();
  fetcher_.profile_as(context_.hooks.profiler(),
                      testing() ? "[_EvaluationLoop].test_next" : "[_EvaluationLoop].val_next");
  fetcher_.add_fetched(progress_.current.ready);
}

void EvaluationLoop::on_run_start() {
  HookCaller& hooks = context_.hooks;
  training_flags_ = hooks.module().training_flags();
  if (testing()) {
    hooks.module(Hook::on_test_model_eval, &TrainableModule::on_test_model_eval);
    hooks.both(Hook::on_test_start, &Callback::on_test_start, &TrainableModule::on_test_start);
    hooks.strategy(Hook::on_test_start);
    hooks.both(Hook::on_test_epoch_start, &Callback::on_test_epoch_start,
               &TrainableModule::on_test_epoch_start);
  } else {
    hooks.module(Hook::on_validation_model_eval, &TrainableModule::on_validation_model_eval);
    hooks.both(Hook::on_validation_start, &Callback::on_validation_start,
               &TrainableModule::on_validation_start);
    hooks.strategy(Hook::on_validation_start);
    hooks.both(Hook::on_validation_epoch_start, &Callback::on_validation_epoch_start,
               &TrainableModule::on_validation_epoch_start);
  }
}

void EvaluationLoop::run_batches() {
  std::int64_t previous_loader = 0;
  FetchedBatch fetched;
  while (fetcher_.next(fetched)) {
    if (fetched.dataloader_idx != previous_loader) store_outputs();
    previous_loader = fetched.dataloader_idx;
    progress_.is_last_batch = fetcher_.done();
    step(std::move(fetched));
    restarting_ = false;
    restarted_mid_evaluation_ = false;
    if (fetcher_.done() && fetcher_.length() != kInfiniteBatches) break;
    fetched = FetchedBatch();
  }
  restarting_ = false;
  restarted_mid_evaluation_ = false;
}

void EvaluationLoop::step(FetchedBatch fetched) {
  HookCaller& hooks = context_.hooks;
  const std::int64_t idx = fetched.batch_idx;
  const std::int64_t loader = fetched.dataloader_idx;
  const Batch batch = context_.data.to_device(std::move(fetched.batch), loader);
  progress_.increment_ready();
  const bool several = data_.loaders.size() > 1;
  context_.logs.on_batch_start(batch, several ? std::optional<std::int64_t>(loader) : std::nullopt);
  if (testing()) {
    hooks.both(Hook::on_test_batch_start, &Callback::on_test_batch_start,
               &TrainableModule::on_test_batch_start, batch, idx, loader);
  } else {
    hooks.both(Hook::on_validation_batch_start, &Callback::on_validation_batch_start,
               &TrainableModule::on_validation_batch_start, batch, idx, loader);
  }
  progress_.increment_started();
  context_.strategy.before_evaluation_forward();
  StepOutput output;
  {
    const ForwardScope scope(context_.precision);
    output = testing()
                 ? hooks.module(Hook::test_step, &TrainableModule::test_step, batch, idx, loader)
                 : hooks.module(Hook::validation_step, &TrainableModule::validation_step, batch,
                                idx, loader);
  }
  progress_.increment_processed();
  if (testing()) {
    hooks.both(Hook::on_test_batch_end, &Callback::on_test_batch_end,
               &TrainableModule::on_test_batch_end, output, batch, idx, loader);
  } else {
    hooks.both(Hook::on_validation_batch_end, &Callback::on_validation_batch_end,
               &TrainableModule::on_validation_batch_end, output, batch, idx, loader);
  }
  context_.logs.on_batch_end();
  progress_.increment_completed();
  if (!context_.state.sanity_checking()) {
    has_run_ = true;
    context_.logs.update_eval_step_metrics(seen_batches[loader]++);
  }
  if (!progress_.is_last_batch) context_.requests.leave_if_asked();
}

void EvaluationLoop::store_outputs() {
  context_.logs.epoch_end_reached();
  outputs_.push_back(context_.logs.update_eval_epoch_metrics());
}

std::vector<MetricDict> EvaluationLoop::on_run_end() {
  HookCaller& hooks = context_.hooks;
  LoggerConnector& logs = context_.logs;
  logs.epoch_end_reached();
  logs.evaluation_epoch_end();
  if (testing()) {
    hooks.both(Hook::on_test_epoch_end, &Callback::on_test_epoch_end,
               &TrainableModule::on_test_epoch_end);
  } else {
    hooks.both(Hook::on_validation_epoch_end, &Callback::on_validation_epoch_end,
               &TrainableModule::on_validation_epoch_end);
  }
  logs.on_epoch_end();
  std::vector<MetricDict> outputs = std::move(outputs_);
  outputs_.clear();
  const MetricDict at_end = logs.update_eval_epoch_metrics();
  MetricDict all;
  for (auto output = outputs.rbegin(); output != outputs.rend(); ++output) all.update(*output);
  all.update(at_end);
  for (MetricDict& output : outputs) output.update(at_end);
  logs.log_eval_end_metrics(all);
  if (testing()) {
    hooks.both(Hook::on_test_end, &Callback::on_test_end, &TrainableModule::on_test_end);
    hooks.strategy(Hook::on_test_end);
  } else {
    const TrainingPosition before = context_.state.position;
    if (fn_ == RunFn::kFit && !context_.state.sanity_checking())
      context_.state.position = TrainingPosition::kValidationEnd;
    hooks.both(Hook::on_validation_end, &Callback::on_validation_end,
               &TrainableModule::on_validation_end);
    hooks.strategy(Hook::on_validation_end);
    context_.state.position = before;
  }
  logs.reset_results();
  const Hook back = testing() ? Hook::on_test_model_train : Hook::on_validation_model_train;
  if (!hooks.module().overrides(back)) {
    hooks.module().set_training_flags(training_flags_);
  } else if (testing()) {
    hooks.module(back, &TrainableModule::on_test_model_train);
  } else {
    hooks.module(back, &TrainableModule::on_validation_model_train);
  }
  if (verbose_ && context_.strategy.is_global_zero())
    print_results_table(testing() ? "Test metric" : "Validate metric", outputs);
  last_end_ = context_.clock.monotonic_now();
  return outputs;
}

void EvaluationLoop::update_restart_stage() {
  const AllFour& total = progress_.total;
  restarted_mid_evaluation_ = restarting_ && total.started == total.ready &&
                              total.processed == total.started - 1 &&
                              total.completed == total.processed;
}

void EvaluationLoop::increment_progress_to_evaluation_end() {
  setup_data();
  const std::vector<std::int64_t> batches = max_batches();
  const std::int64_t longest =
      batches.empty() ? 0 : *std::max_element(batches.begin(), batches.end());
  if (longest == 0) return;
  reset();
  if (longest != kInfiniteBatches) progress_.increment_by(longest, true);
}

}  // namespace lctl
