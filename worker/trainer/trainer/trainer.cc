#include "worker/trainer/trainer/trainer.h"

#include <fmt/format.h>
#include <torch/csrc/autograd/anomaly_mode.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <stdexcept>

#include "worker/trainer/connectors/distributed_run.h"
#include "worker/trainer/connectors/loader_guidance.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/random.h"
#include "worker/trainer/core/reset_seed.h"
#include "worker/trainer/data/loading/memory_headroom.h"
#include "worker/trainer/strategies/layer_sync.h"
#include "worker/trainer/trainer/torch_flags.h"

namespace lctl {
namespace {

// Bytes of samples: less than that in a constructor is not worth a word.
constexpr std::int64_t kNoticeablyMuch = 64 << 20;

// NaN in backward raises while this lives. Thread rule: one strand only.
class AnomalyScope {
 public:
  explicit AnomalyScope(bool on) : on_(on) {
    if (!on_) return;
    console::info(
        "You have turned on `Trainer(detect_anomaly=True)`. This will significantly slow down "
        "compute speed and is recommended only for model debugging.");
    torch::autograd::AnomalyMode::set_enabled(true, true);
  }
  ~AnomalyScope() {
    if (on_) torch::autograd::AnomalyMode::set_enabled(false, true);
  }
  AnomalyScope(const AnomalyScope&) = delete;
  AnomalyScope& operator=(const AnomalyScope&) = delete;

 private:
  const bool on_;
};

// Stands in for the user's loggers in a development run.
class NullLogger final : public Logger {
 public:
  std::string name() const override { return ""; }
  std::variant<std::int64_t, std::string> version() override { return std::string(); }
  std::string save_dir() const override { return ""; }
  std::string log_dir() override { return ""; }
  void log_metrics(std::span<const LoggedMetric>, std::int64_t) override {}
  void log_hyperparams(const checkpoint::Dict&) override {}
};

}  // namespace

Trainer::Trainer(Setup setup)
    : options_(std::move(setup.options)),
      callbacks_(std::move(setup.callbacks)),
      loggers_(std::move(setup.loggers)),
      accelerator_(std::move(setup.accelerator)),
      strategy_(std::move(setup.strategy)),
      clock_(setup.clock),
      control_(setup.control),
      save_for_orchestrator_(std::move(setup.save_for_orchestrator)) {
  if (options_.profiler.profiler != nullptr)
    hooks_.profile_with(options_.profiler.profiler, strategy_->name());
  set_torch_flags(options_);
  precision_ = make_precision(options_.precision, strategy_->root_device());
  if (options_.fast_dev_run > 0) {
    console::info(
        fmt::format("Running in `fast_dev_run` mode: will run the requested loop using {} "
                    "batch(es). Logging and "
                    "checkpointing is suppressed.",
                    options_.fast_dev_run));
    for (auto& logger : loggers_) {
      if (logger->is_user_logger()) logger = std::make_shared<NullLogger>();
    }
  }
  LoggerConnector::Options log_options;
  log_options.log_every_n_steps = options_.log_every_n_steps;
  log_options.fast_dev_run = options_.fast_dev_run > 0;
  log_options.barebones = options_.barebones;
  logs_ = std::make_unique<LoggerConnector>(log_options, state_, progress_, hooks_);
  logs_->set_has_user_logger(std::any_of(loggers_.begin(), loggers_.end(), [](const auto& logger) {
    return logger->is_user_logger();
  }));
  if (strategy_->is_global_zero()) logs_->set_loggers(loggers_);
  logs_->set_distributed(
      strategy_->layout().world_size,
      [this](const at::Tensor& value, Reduction op) { return strategy_->reduce(value, op); });
  data_connector_ = std::make_unique<DataConnector>(options_, state_, hooks_, *strategy_,
                                                    *precision_, *accelerator_);
  checkpoint_writer_ =
      std::make_unique<checkpoint::BackgroundWriter>(checkpoint::BackgroundWriter::Options{
          .in_background = options_.async_checkpoint,
          .available_memory =
              [] {
                const auto headroom = memory_headroom();
                return headroom ? headroom->available : std::int64_t{-1};
              },
          .pin = [this](void* memory,
                        std::size_t bytes) { return accelerator_->pin(memory, bytes); }});
  context_ = std::make_unique<LoopContext>(LoopContext{
      options_, state_, progress_, hooks_, *logs_, *strategy_, *precision_, *data_connector_,
      optimizers_, *checkpoint_writer_, *control_, *accelerator_, *clock_});
  fit_loop_ = std::make_unique<FitLoop>(*context_);
  validate_loop_ = std::make_unique<EvaluationLoop>(*context_, RunFn::kValidate, progress_.validate,
                                                    true, options_.inference_mode);
  test_loop_ = std::make_unique<EvaluationLoop>(*context_, RunFn::kTest, progress_.test, true,
                                                options_.inference_mode);
  predict_loop_ = std::make_unique<PredictionLoop>(*context_);
}

Trainer::~Trainer() = default;

std::string Trainer::default_root_dir() const {
  return options_.default_root_dir.empty() ? std::filesystem::current_path().string()
                                           : options_.default_root_dir;
}

std::string Trainer::log_dir() const {
  for (const auto& logger : loggers_) {
    if (!logger->is_user_logger()) continue;
    const std::string folder = logger->log_dir();
    return folder.empty() ? logger->save_dir() : folder;
  }
  return default_root_dir();
}

std::shared_ptr<Logger> Trainer::logger() const {
  if (!is_global_zero()) return nullptr;
  for (const auto& logger : loggers_) {
    if (logger->is_user_logger()) return logger;
  }
  return nullptr;
}

std::shared_ptr<Callback> Trainer::checkpoint_callback() const {
  for (const auto& callback : callbacks_) {
    if (callback->kind() == Callback::Kind::kCheckpoint) return callback;
  }
  return nullptr;
}

std::shared_ptr<Callback> Trainer::early_stopping_callback() const {
  for (const auto& callback : callbacks_) {
    if (callback->type_name() == "EarlyStopping") return callback;
  }
  return nullptr;
}

void Trainer::print(std::string_view text) const {
  if (!is_global_zero()) return;
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

// ---- entry points

template <typename Run>
void Trainer::guarded(RunFn fn, Stage stage, TrainableModule& module, LightningDataModule* data,
                      const ResumeFrom& from, Run&& run) {
  state_.fn = fn;
  state_.stage = stage;
  state_.should_stop = false;
  failing_ = false;
  hooks_.connect(this, &module, data, &callbacks_);
  if (fn == RunFn::kFit) fit_loop_->forget_data();
  progress_.fit.automatic_optimization = module.automatic_optimization();
  try {
    prepare(from);
    run();
    finish();
  } catch (const TunerExit&) {
    leave();
  } catch (const std::exception& error) {
    tell_of_exception(error);
    teardown_parts();
    state_.stage = Stage::kNone;
    throw;
  }
  state_.stage = Stage::kNone;
}

void Trainer::fit(TrainableModule& module, LightningDataModule* data, ResumeFrom from) {
  guarded(RunFn::kFit, Stage::kTrain, module, data, from, [this] { run_fit(); });
}

std::vector<MetricDict> Trainer::validate(TrainableModule& module, LightningDataModule* data,
                                          ResumeFrom from) {
  std::vector<MetricDict> results;
  guarded(RunFn::kValidate, Stage::kValidate, module, data, from,
          [&] { results = validate_loop_->run(); });
  return results;
}

std::vector<MetricDict> Trainer::test(TrainableModule& module, LightningDataModule* data,
                                      ResumeFrom from) {
  std::vector<MetricDict> results;
  guarded(RunFn::kTest, Stage::kTest, module, data, from, [&] { results = test_loop_->run(); });
  return results;
}

std::vector<std::vector<Batch>> Trainer::predict(TrainableModule& module, LightningDataModule* data,
                                                 ResumeFrom from) {
  std::vector<std::vector<Batch>> results;
  guarded(RunFn::kPredict, Stage::kPredict, module, data, from,
          [&] { results = predict_loop_->run(); });
  return results;
}

// ---- the same without a module: that of the run before

std::vector<MetricDict> Trainer::validate(LightningDataModule* data, ResumeFrom from) {
  from = best_of_last_run("validate", std::move(from));
  return validate(hooks_.module(), data == nullptr ? data_module() : data, std::move(from));
}

std::vector<MetricDict> Trainer::test(LightningDataModule* data, ResumeFrom from) {
  from = best_of_last_run("test", std::move(from));
  return test(hooks_.module(), data == nullptr ? data_module() : data, std::move(from));
}

std::vector<std::vector<Batch>> Trainer::predict(LightningDataModule* data, ResumeFrom from) {
  from = best_of_last_run("predict", std::move(from));
  return predict(hooks_.module(), data == nullptr ? data_module() : data, std::move(from));
}

ResumeFrom Trainer::best_of_last_run(std::string_view fn, ResumeFrom from) const {
  if (!hooks_.connected()) {
    throw std::invalid_argument(fmt::format(
        "`Trainer.{0}()` requires a `LightningModule` when it hasn't been passed in a previous "
        "run: call `trainer.{0}(module, &data)`",
        fn));
  }
  if (from.path.empty()) {
    console::warn(fmt::format(
        "`.{0}(ckpt_path=None)` was called without a model. The best model of the previous `fit` "
        "call will be used. You can pass `.{0}(ckpt_path='best')` to use the best model or "
        "`.{0}(ckpt_path='last')` to use the last model. If you pass a value, this warning will be "
        "silenced.",
        fn));
    from.path = "best";
  }
  return from;
}

// ---- one run, in Lightning's order

void Trainer::prepare(const ResumeFrom& from) {
  if (state_.fn == RunFn::kFit) resolve_epoch_limits();
  const std::string checkpoint_path = select_checkpoint(from);
  if (options_.barebones) {
    console::info(
        "`Trainer(barebones=True)` started running. The progress bar is disabled so you might want "
        "to manually print the progress in your model.");
  }
  TrainableModule& module = hooks_.module();
  module.attach(this, logs_.get());
  if (data_module() != nullptr) {
    const bool first_run = data_module()->trainer() == nullptr;
    const std::int64_t loaded = data_module()->loaded_since_made();
    if (first_run && loaded > kNoticeablyMuch)
      warn_of_early_loading(data_module()->type_name(), loaded);
    data_module()->attach(this, &module);
  }
  warn_of_double_transfer_hooks();
  attach_callbacks();
  verify_configuration();
  if (is_distributed_run(*strategy_, options_)) reset_seed(*accelerator_);
  strategy_->setup_environment();
  setup_profiler();
  data_connector_->prepare_data();
  setup_hooks();
  hooks_.module(Hook::configure_model, &TrainableModule::configure_model);
  ResumeFrom selected = from;
  selected.path = checkpoint_path;
  restore_module_and_callbacks(selected);
  logs_->reset_results();
  logs_->reset_metrics();
  setup_strategy();
  if (state_.fn == RunFn::kFit)
    hooks_.both(Hook::on_fit_start, &Callback::on_fit_start, &TrainableModule::on_fit_start);
  if (options_.enable_autolog_hparams) log_hyperparameters();
  restore_training_state(selected);
  strategy_->barrier();
  for (const NamedTensor& parameter : module.parameter_list()) {
    at::Tensor tensor = parameter.tensor;
    tensor.mutable_grad().reset();
  }
}

void Trainer::sanity_check() {
  EvaluationLoop& val_loop = fit_loop_->val_loop();
  if (!data_connector_->validation_enabled() || options_.num_sanity_val_steps == 0 ||
      !fit_loop_->sanity_check_wanted())
    return;
  const Stage before = state_.stage;
  state_.stage = Stage::kSanityCheck;
  logs_->reset_results();
  logs_->reset_metrics();
  hooks_.callbacks(Hook::on_sanity_check_start, &Callback::on_sanity_check_start);
  val_loop.run();
  hooks_.callbacks(Hook::on_sanity_check_end, &Callback::on_sanity_check_end);
  logs_->reset_results();
  logs_->reset_metrics();
  progress_.fit.val_batch.reset();
  state_.stage = before;
}

void Trainer::run_fit() {
  control_->begin_fit(strategy_->make_agreement(), progress_.fit, is_global_zero(),
                      [this](BoundaryAction action) {
                        if (save_for_orchestrator_) save_for_orchestrator_(*this, action);
                      });
  {
    const RandomIsolation isolation(accelerator_.get());
    sanity_check();
  }
  const AnomalyScope anomaly(options_.detect_anomaly);
  fit_loop_->run();
}

void Trainer::finish() {
  finish_checkpoints();
  strategy_->barrier();
  teardown_parts();
  if (state_.fn == RunFn::kFit)
    hooks_.both(Hook::on_fit_end, &Callback::on_fit_end, &TrainableModule::on_fit_end);
  call_teardown_hooks();
}

// A tuner has found what it looked for: there is no training, and no on_fit_end.
void Trainer::leave() {
  call_teardown_hooks();
  teardown_parts();
}

void Trainer::call_teardown_hooks() {
  const std::string_view stage = fn_name(state_.fn);
  if (data_module() != nullptr)
    hooks_.data_module(Hook::teardown, &LightningDataModule::teardown, stage);
  hooks_.both(Hook::teardown, &Callback::teardown, &TrainableModule::teardown, stage);
  for (const auto& logger : logs_->loggers()) logger->finalize("success");
  if (const auto stats = training_loader_stats())
    warn_of_skipped_samples(stats->skipped_samples, stats->batches);
  if (profiler() != nullptr) profiler()->describe();
}

void Trainer::teardown_parts() {
  control_->end_fit();
  strategy_->teardown();
  if (options_.sync_batchnorm) revert_layer_sync(module());
  fit_loop_->teardown();
  validate_loop_->teardown();
  test_loop_->teardown();
  const c10::Device cpu(c10::DeviceType::CPU);
  if (!strategy_->root_device().is_cpu()) module().move_to(cpu, std::nullopt);
}

void Trainer::tell_of_exception(const std::exception& error) {
  failing_ = true;
  // A checkpoint of this moment is taken in the middle of something: resumed by Lightning's rules.
  state_.position = TrainingPosition::kElsewhere;
  // Whatever fails here must not hide the error that brought us here.
  const auto quietly = [](const char* who, auto&& call) {
    try {
      call();
    } catch (const std::exception& second) {
      console::warn(fmt::format("{} failed after the run had failed: {}", who, second.what()));
    }
  };
  quietly("the checkpoint that was being written", [&] { finish_checkpoints(); });
  quietly("on_exception of a callback",
          [&] { hooks_.callbacks(Hook::on_exception, &Callback::on_exception, error); });
  if (data_module() != nullptr)
    quietly("on_exception of the data module", [&] { data_module()->on_exception(error); });
  for (const auto& logger : logs_->loggers())
    quietly("finalize of a logger", [&] { logger->finalize("failed"); });
}

double Trainer::estimated_stepping_batches() {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::int64_t max_epochs = fit_loop_->limits().max_epochs;
  const double max_steps =
      options_.max_steps == -1 ? infinity : static_cast<double>(options_.max_steps);
  if (max_epochs == -1) return max_steps;
  if (!fit_loop_->data_loaded())
    console::info("Loading `train_dataloader` to estimate number of stepping batches.");
  fit_loop_->setup_data();
  if (num_training_batches() == kInfiniteBatches) return max_steps;
  const double per_epoch = std::ceil(static_cast<double>(num_training_batches()) /
                                     static_cast<double>(options_.accumulate_grad_batches));
  return std::min(per_epoch * static_cast<double>(std::max<std::int64_t>(max_epochs, 1)),
                  max_steps);
}

}  // namespace lctl
