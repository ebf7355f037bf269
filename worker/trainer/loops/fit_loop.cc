#include "worker/trainer/loops/fit_loop.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "worker/trainer/accelerators/accelerator.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"

namespace lctl {

FitLoop::FitLoop(LoopContext& context)
    : context_(context),
      val_loop_(context, RunFn::kFit, context.progress.fit.val_batch, /*verbose=*/false,
                /*inference_mode=*/false),
      epoch_loop_(context, limits_, val_loop_) {
  fetcher_.remember_generator();
}

bool FitLoop::done() {
  FitProgress& fit = context_.progress.fit;
  if (limits_.num_training_batches == 0) {
    console::info("`Trainer.fit` stopped: No training batches.");
    return true;
  }
  const std::int64_t max_steps = context_.options.max_steps;
  if (max_steps != -1 && fit.global_step() >= max_steps) {
    console::info(fmt::format("`Trainer.fit` stopped: `max_steps={}` reached.", max_steps));
    return true;
  }
  if (limits_.max_epochs != -1 && fit.epoch.current.processed >= limits_.max_epochs) {
    fit.epoch.current.completed = fit.epoch.current.processed;
    console::info(
        fmt::format("`Trainer.fit` stopped: `max_epochs={}` reached.", limits_.max_epochs));
    return true;
  }
  return context_.state.should_stop && epoch_loop_.can_stop_early();
}

void FitLoop::run() {
  setup_data();
  if (done() || is_zero(context_.options.limit_train_batches)) return;
  reset();
  on_run_start();
  apply_exact_state();
  while (!done()) {
    if (continue_from_ == TrainingPosition::kTrainEpochEnd) {
      finish_epoch();
    } else {
      on_advance_start();
      advance();
      on_advance_end();
    }
    continue_from_ = TrainingPosition::kElsewhere;
    restarting_ = loaded_ = resuming_ = false;
    epoch_loop_.set_resuming(false);
    stage_ = RestartStage::kNone;
  }
  restarting_ = false;
  on_run_end();
}

bool FitLoop::should_reload() const {
  const std::int64_t every = context_.options.reload_dataloaders_every_n_epochs;
  return every > 0 && (last_reload_epoch_ == std::numeric_limits<std::int64_t>::min() ||
                       context_.progress.fit.current_epoch() - last_reload_epoch_ >= every);
}

void FitLoop::setup_data() {
  if (data_.loaded && !should_reload()) return;
  const TrainerOptions& options = context_.options;
  if (is_zero(options.limit_train_batches)) return;
  data_ = context_.data.load_train();
  context_.strategy.barrier();
  fetcher_.setup(data_.loaders, data_.limits);
  fetcher_.start();
  limits_.num_training_batches = fetcher_.length();
  if (limits_.num_training_batches == 0) {
    console::warn(
        "Total length of `CombinedLoader` across ranks is zero. Please make sure this was your "
        "intention.");
    return;
  }
  last_reload_epoch_ = context_.progress.fit.current_epoch();
  set_val_check_batch();
  const bool has_logger =
      std::any_of(context_.logs.loggers().begin(), context_.logs.loggers().end(),
                  [](const auto& logger) { return logger->is_user_logger(); });
  if (has_logger && limits_.num_training_batches < options.log_every_n_steps &&
      options.fast_dev_run == 0) {
    console::warn(
        fmt::format("The number of training batches ({}) is smaller than the logging interval "
                    "Trainer(log_every_n_steps={}). Set a lower value for log_every_n_steps if you "
                    "want to see logs for the "
                    "training epoch.",
                    limits_.num_training_batches, options.log_every_n_steps.value()));
  }
}

void FitLoop::set_val_check_batch() {
  const TrainerOptions& options = context_.options;
  const std::int64_t batches = limits_.num_training_batches;
  if (options.val_check_time) {
    val_loop_.set_last_end(context_.clock.monotonic_now());
    return;
  }
  if (const auto* interval = std::get_if<std::int64_t>(&options.val_check_interval.value())) {
    limits_.val_check_batch = *interval;
    if (*interval > batches && options.check_val_every_n_epoch &&
        !is_zero(options.limit_val_batches)) {
      throw std::invalid_argument(
          fmt::format(" `val_check_interval` ({}) must be less than or equal to the number of the "
                      "training batches ({}). If you want to disable "
                      "validation set `limit_val_batches` to 0.0 instead. If you want to validate "
                      "based on the total training batches, set "
                      "`check_val_every_n_epoch=None`.",
                      *interval, batches));
    }
    return;
  }
  const double fraction = std::get<double>(options.val_check_interval.value());
  const bool has_length = data_.loaders.front()->size().has_value();
  if (!has_length) {
    if (fraction != 1.0) {
      throw MisconfigurationException(
          "When using an IterableDataset for `train_dataloader`, `Trainer(val_check_interval)` "
          "must be time based, `1.0` or an int. An "
          "int k specifies checking validation every k training batches.");
    }
    limits_.val_check_batch = kInfiniteBatches;
    return;
  }
  limits_.val_check_batch =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(batches) * fraction));
}

void FitLoop::forget_data() {
  fetcher_.clear();
  data_ = StageLoaders();
  val_loop_.forget_data();
}

std::optional<std::int64_t> FitLoop::dataset_length() const {
  std::int64_t longest = 0;
  for (const auto& loader : data_.loaders) {
    const std::optional<std::int64_t> length = loader->dataset_length();
    if (!length) return std::nullopt;
    longest = std::max(longest, *length);
  }
  return longest;
}

void FitLoop::load_counters(const checkpoint::Dict& state) {
  context_.progress.fit.load_state_dict(state);
  set_loaded(/*restarting=*/context_.options.max_steps != -1);
}

void FitLoop::forget_restart() {
  restarting_ = loaded_ = resuming_ = false;
  stage_ = RestartStage::kNone;
  exact_.reset();
  epoch_loop_.mark_restarting(false);
  epoch_loop_.set_resuming(false);
}

void FitLoop::mark_loaded() {
  const AllFour& current = context_.progress.fit.epoch.current;
  const bool unfinished =
      current.ready != current.processed || current.started != current.processed;
  set_loaded(unfinished || context_.options.max_steps != -1);
}

void FitLoop::set_loaded(bool restarting) {
  restarting_ = restarting;
  epoch_loop_.mark_restarting(restarting);
  loaded_ = resuming_ = true;
  epoch_loop_.set_resuming(true);
}

void FitLoop::update_restart_stage() {
  const AllFour& total = context_.progress.fit.epoch.total;
  const bool start_open = total.started == total.ready - 1;
  const bool started = total.started == total.ready;
  stage_ = RestartStage::kNone;
  if (restarting_ && start_open && total.processed == total.started &&
      total.completed == total.processed) {
    stage_ = RestartStage::kOnEpochStart;
  } else if (restarting_ && started && total.processed == total.started - 1 &&
             total.completed == total.processed) {
    stage_ = RestartStage::kMidEpoch;
  } else if (restarting_ && started && total.processed == total.started &&
             total.completed == total.processed - 1) {
    stage_ = RestartStage::kOnEpochEnd;
  } else if (loaded_ && started && total.processed == total.started &&
             total.completed == total.processed - 1) {
    stage_ = RestartStage::kResumedOnEpochEnd;
  }
  epoch_loop_.update_restart_stage();
}

void FitLoop::reset() {
  if (exact_) return;
  FitProgress& fit = context_.progress.fit;
  update_restart_stage();
  if (stage_ == RestartStage::kOnEpochStart) fit.epoch.reset_on_restart();
  if (stage_ == RestartStage::kResumedOnEpochEnd) fit.epoch.increment_completed();
  const bool batch_end = epoch_loop_.restarted_on_train_batch_end() && fit.batch.is_last_batch;
  const bool mid_epoch = stage_ == RestartStage::kMidEpoch;
  if (batch_end && mid_epoch) {
    console::warn(
        "The checkpoint was saved on the last batch of its epoch, before validation: as in "
        "Lightning, that validation and the hooks at the end of that epoch are left out. Resume "
        "lctl's own checkpoints without `job: {resume: lightning}` to have them run, or save at "
        "the end of epochs.");
    fit.epoch.increment_processed();
    fit.epoch.increment_completed();
  }
  if (batch_end && !mid_epoch && !fit.val_batch.is_last_batch) fit.epoch.increment_completed();
}

void FitLoop::on_run_start() {
  FitProgress& fit = context_.progress.fit;
  if (context_.options.max_steps == -1 && !exact_)
    fit.epoch.current.completed = fit.epoch.current.processed;
  if (epoch_loop_.should_check_val_epoch() && !val_loop_.loaded()) {
    context_.state.stage = Stage::kValidate;
    val_loop_.setup_data();
    context_.state.stage = Stage::kTrain;
  }
  std::size_t in_eval_mode = 0;
  for (const bool training : context_.hooks.module().training_flags())
    in_eval_mode += training ? 0 : 1;
  if (in_eval_mode > 0) {
    console::warn(
        fmt::format("Found {} module(s) in eval mode at the start of training. This may lead to "
                    "unexpected behavior during "
                    "training. If this is intentional, you can ignore this warning.",
                    in_eval_mode));
  }
  context_.hooks.both(Hook::on_train_start, &Callback::on_train_start,
                      &TrainableModule::on_train_start);
  context_.hooks.strategy(Hook::on_train_start);
}

void FitLoop::on_advance_start() {
  FitProgress& fit = context_.progress.fit;
  setup_data();
  for (const auto& loader : data_.loaders) loader->set_epoch(fit.epoch.current.processed);
  const bool inside = continue_from_ != TrainingPosition::kElsewhere &&
                      continue_from_ != TrainingPosition::kEpochDone;
  if (inside || stage_ == RestartStage::kMidEpoch || stage_ == RestartStage::kOnEpochEnd) return;
  if (stage_ != RestartStage::kOnEpochStart) fit.epoch.increment_ready();
  context_.hooks.both(Hook::on_train_epoch_start, &Callback::on_train_epoch_start,
                      &TrainableModule::on_train_epoch_start);
  fit.epoch.increment_started();
}

void FitLoop::advance() {
  const ActionScope action = context_.hooks.profile("run_training_epoch");
  epoch_loop_.continue_from(continue_from_);
  epoch_loop_.run(fetcher_);
}

void FitLoop::on_advance_end() {
  HookCaller& hooks = context_.hooks;
  context_.logs.epoch_end_reached();
  context_.progress.fit.epoch.increment_processed();
  context_.state.position = TrainingPosition::kTrainEpochEnd;
  hooks.filtered_callbacks(HookCaller::Only::kNotMonitoring, Hook::on_train_epoch_end,
                           &Callback::on_train_epoch_end);
  hooks.module(Hook::on_train_epoch_end, &TrainableModule::on_train_epoch_end);
  hooks.filtered_callbacks(HookCaller::Only::kMonitoring, Hook::on_train_epoch_end,
                           &Callback::on_train_epoch_end);
  context_.state.position = TrainingPosition::kElsewhere;
  finish_epoch();
}

void FitLoop::finish_epoch() {
  FitProgress& fit = context_.progress.fit;
  context_.logs.on_epoch_end();
  if (!restarting_ && epoch_loop_.num_ready_batches_reached())
    epoch_loop_.update_lr_schedulers(/*epoch_interval=*/true, /*plateau=*/true);
  // Loggers see the step of the epoch's last batch.
  --fit.batches_that_stepped;
  context_.logs.update_train_epoch_metrics();
  ++fit.batches_that_stepped;
  fit.epoch.increment_completed();
  context_.requests.leave_if_asked();
  if (finished()) return;  // no safety checkpoint of a run that is over
  context_.state.position = TrainingPosition::kEpochDone;
  context_.checkpoints.poll();
  context_.requests.at_boundary();
  context_.state.position = TrainingPosition::kElsewhere;
}

bool FitLoop::finished() const {
  const FitProgress& fit = context_.progress.fit;
  const std::int64_t max_steps = context_.options.max_steps;
  if (max_steps != -1 && fit.global_step() >= max_steps) return true;
  if (limits_.max_epochs != -1 && fit.epoch.current.processed >= limits_.max_epochs) return true;
  return context_.state.should_stop && epoch_loop_.can_stop_early();
}

void FitLoop::on_run_end() {
  context_.checkpoints.wait();  // whoever looks for the best one now finds it
  context_.hooks.both(Hook::on_train_end, &Callback::on_train_end, &TrainableModule::on_train_end);
  context_.hooks.strategy(Hook::on_train_end);
}

checkpoint::Dict FitLoop::exact_state() const {
  checkpoint::Dict state;
  state.set("position", static_cast<std::int64_t>(context_.state.position));
  const GeneratorStates generators = generator_states(&context_.accelerator);
  state.set("generator", generators.cpu);
  checkpoint::List devices;
  for (const at::Tensor& device : generators.devices) devices.emplace_back(device);
  state.set("device_generators", std::move(devices));
  if (fetcher_.generator_before().defined())
    state.set("loader_generator", fetcher_.generator_before());
  state.set("loader_taken", fetcher_.taken());
  if (const auto samples = global_batch()) state.set("global_batch", *samples);
  state.set("should_stop", context_.state.should_stop);
  state.set("val_has_run", val_loop_.has_run());
  checkpoint::Dict seen;
  for (const auto& [loader, batches] : val_loop_.seen_batches) seen.set(loader, batches);
  state.set("val_seen_batches", std::move(seen));
  state.set("results", context_.logs.state());
  checkpoint::List frozen;
  for (const NamedTensor& parameter : context_.hooks.module().parameter_list()) {
    if (!parameter.tensor.requires_grad()) frozen.emplace_back(parameter.name);
  }
  state.set("frozen", std::move(frozen));
  return state;
}

// Samples that all ranks together take at once; empty when batches have no size of their own.
std::optional<std::int64_t> FitLoop::global_batch() const {
  if (data_.loaders.empty()) return std::nullopt;
  const std::optional<std::int64_t> own = data_.loaders.front()->batch_size();
  return own ? std::optional(*own * context_.strategy.layout().world_size) : std::nullopt;
}

void FitLoop::restore_exact(checkpoint::Dict state, double scale) {
  exact_ = std::move(state);
  exact_scale_ = scale;
}

bool FitLoop::continues_inside_epoch() const {
  if (!exact_) return false;
  const std::int64_t position = exact_->at("position").as_int();
  return position > 0 && position < static_cast<std::int64_t>(TrainingPosition::kTrainEpochEnd);
}

void FitLoop::apply_exact_state() {
  if (!exact_) return;
  const checkpoint::Dict& state = *exact_;
  const std::int64_t position = state.at("position").as_int();
  if (position <= 0 || position > static_cast<std::int64_t>(TrainingPosition::kEpochDone)) {
    throw std::runtime_error(fmt::format("checkpoint: unknown training position {}", position));
  }
  continue_from_ = static_cast<TrainingPosition>(position);
  const auto* before = state.find("loader_generator");
  if (continues_inside_epoch() && before != nullptr) {
    // The order of this epoch's samples follows from the generator at its beginning.
    set_generator_states({before->as_tensor(), {}}, nullptr);
    for (const auto& loader : data_.loaders)
      loader->set_epoch(context_.progress.fit.epoch.current.processed);
    fetcher_.start();
    double scale = exact_scale_;
    const auto* then = state.find("global_batch");
    if (const auto now = global_batch(); now && then != nullptr)
      scale = static_cast<double>(then->as_int()) / static_cast<double>(*now);
    fetcher_.skip(static_cast<std::int64_t>(
        std::llround(static_cast<double>(state.at("loader_taken").as_int()) * scale)));
  }
  val_loop_.set_has_run(state.at("val_has_run").as_bool());
  if (state.at("val_seen_batches").as_dict().size() > 0)
    val_loop_.setup_data();  // it would forget the counts later
  val_loop_.seen_batches.clear();
  for (const auto& [loader, batches] : state.at("val_seen_batches").as_dict().entries()) {
    val_loop_.seen_batches[loader.as_int()] = batches.as_int();
  }
  context_.logs.load_state(state.at("results").as_dict());
  GeneratorStates generators{state.at("generator").as_tensor(), {}};
  for (const checkpoint::Value& device : state.at("device_generators").as_list())
    generators.devices.push_back(device.as_tensor());
  if (const auto* seed = state.find("reseed")) {
    generators.cpu =
        at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed->as_int())).get_state();
    generators.devices.clear();
    context_.accelerator.seed(static_cast<std::uint64_t>(seed->as_int()));
  }
  set_generator_states(generators, &context_.accelerator);
  exact_.reset();
}

void FitLoop::teardown() {
  fetcher_.clear();
  val_loop_.teardown();
}

}  // namespace lctl
