// Lightning's Trainer: the entry points, and what callbacks may ask.
//
//   Trainer trainer(std::move(setup));
//   trainer.fit(module, &data, "");
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "worker/trainer/accelerators/accelerator.h"
#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/checkpoint/background_writer.h"
#include "worker/trainer/connectors/data_connector.h"
#include "worker/trainer/connectors/logger_connector.h"
#include "worker/trainer/core/lightning_data_module.h"
#include "worker/trainer/core/optimizers_config.h"
#include "worker/trainer/loggers/logger.h"
#include "worker/trainer/loops/evaluation_loop.h"
#include "worker/trainer/loops/fit_loop.h"
#include "worker/trainer/loops/prediction_loop.h"
#include "worker/trainer/precision/precision.h"
#include "worker/trainer/strategies/strategy.h"
#include "worker/trainer/trainer/hook_caller.h"
#include "worker/trainer/trainer/options.h"
#include "worker/trainer/trainer/run_control.h"
#include "worker/trainer/trainer/run_state.h"

namespace lctl {

class ModelCheckpoint;

// A class derived from TrainableModule; which of its members it replaces is known at compile time.
template <typename T>
concept UserModule = std::derived_from<T, TrainableModule> && !std::same_as<T, TrainableModule>;

template <typename T>
concept DataOrNone =
    std::same_as<T, std::nullptr_t> || std::convertible_to<T, LightningDataModule*>;

// Which checkpoint to start from, and how.
struct ResumeFrom {
  ResumeFrom() = default;
  ResumeFrom(std::string ckpt_path) : path(std::move(ckpt_path)) {}  // NOLINT: fit(…, "last")
  ResumeFrom(const char* ckpt_path) : path(ckpt_path) {}             // NOLINT

  std::string path;           // "", a path, "last", "best" or "hpc"
  bool exact = true;          // use lctl's own state in the file where it has one
  bool orchestrated = false;  // the file is this job's own recovery: a pending stop comes back too
};

// One run at a time; the parts stay connected until the trainer goes. Every exception of a run
// passes through one place, which tells callbacks, data module and loggers before it goes on to the
// caller. Thread rule: one strand only (the training thread).
class Trainer {
 public:
  struct Setup {
    TrainerOptions options;                            // settled
    std::vector<std::shared_ptr<Callback>> callbacks;  // the user's, in order
    std::vector<std::shared_ptr<Logger>> loggers;      // the same on every rank; rank 0 writes
    std::unique_ptr<Accelerator> accelerator;
    std::unique_ptr<Strategy> strategy;
    const Clock* clock = &system_clock();
    RunControl* control = nullptr;  // outlives the trainer
    // Writes a checkpoint that the orchestrator asked for; may be empty.
    std::function<void(Trainer&, BoundaryAction)> save_for_orchestrator;
  };

  // In a program of one's own: Lightning's arguments, not settled, with `callbacks` and `logger`.
  // Chooses the device, starts or joins the other ranks, and adds Lightning's default callbacks and
  // logger. Throws what a Python user would get. Defined in //worker/trainer:lightning.
  explicit Trainer(TrainerOptions options);

  explicit Trainer(Setup setup);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  // `data` may be null: the module then has the loaders. Called with a user's own classes, they
  // also learn which hooks these replace: what is missing is refused before anything runs.
  void fit(TrainableModule& module, LightningDataModule* data, ResumeFrom from = {});
  std::vector<MetricDict> validate(TrainableModule& module, LightningDataModule* data,
                                   ResumeFrom from = {});
  std::vector<MetricDict> test(TrainableModule& module, LightningDataModule* data,
                               ResumeFrom from = {});
  // [loader][batch], on the CPU.
  std::vector<std::vector<Batch>> predict(TrainableModule& module, LightningDataModule* data,
                                          ResumeFrom from = {});

  template <UserModule Module, DataOrNone Data = std::nullptr_t>
  void fit(Module& module, Data data = nullptr, ResumeFrom from = {}) {
    fit(known(module), known(data), std::move(from));
  }
  template <UserModule Module, DataOrNone Data = std::nullptr_t>
  std::vector<MetricDict> validate(Module& module, Data data = nullptr, ResumeFrom from = {}) {
    return validate(known(module), known(data), std::move(from));
  }
  template <UserModule Module, DataOrNone Data = std::nullptr_t>
  std::vector<MetricDict> test(Module& module, Data data = nullptr, ResumeFrom from = {}) {
    return test(known(module), known(data), std::move(from));
  }
  template <UserModule Module, DataOrNone Data = std::nullptr_t>
  std::vector<std::vector<Batch>> predict(Module& module, Data data = nullptr,
                                          ResumeFrom from = {}) {
    return predict(known(module), known(data), std::move(from));
  }

  // With the module of the last run. Without a checkpoint: the best of that fit, as in Lightning,
  // with a warning.
  std::vector<MetricDict> validate(LightningDataModule* data, ResumeFrom from = {});
  std::vector<MetricDict> test(LightningDataModule* data, ResumeFrom from = {});
  std::vector<std::vector<Batch>> predict(LightningDataModule* data, ResumeFrom from = {});

  // ---- numbers
  std::int64_t global_step() const { return progress_.fit.global_step(); }
  std::int64_t current_epoch() const { return progress_.fit.current_epoch(); }
  std::int64_t max_epochs() const { return fit_loop_->limits().max_epochs; }  // -1 = unlimited
  std::int64_t num_training_batches() const { return fit_loop_->limits().num_training_batches; }
  std::int64_t num_val_batches() const { return fit_loop_->val_loop().total_batches(); }
  double estimated_stepping_batches();  // infinity when unlimited

  // ---- state
  const TrainerOptions& options() const { return options_; }
  TrainerOptions& options() { return options_; }
  const RunState& state() const { return state_; }
  RunState& state() { return state_; }
  bool sanity_checking() const { return state_.sanity_checking(); }
  bool should_stop() const { return state_.should_stop; }
  void set_should_stop() { state_.should_stop = true; }
  const TrainerProgress& progress() const { return progress_; }
  bool enable_validation() const { return data_connector_->validation_enabled(); }

  // ---- metrics
  const MetricDict& callback_metrics() { return logs_->callback_metrics(); }
  const MetricDict& logged_metrics() { return logs_->logged_metrics(); }
  const MetricDict& progress_bar_metrics() { return logs_->progress_bar_metrics(); }
  LoggerConnector& logger_connector() { return *logs_; }

  // How the training loader is doing; empty before there is one that measures.
  std::optional<LoadingStats> training_loader_stats() const {
    return data_connector_->training_stats();
  }

  // ---- parts
  TrainableModule& module() const { return hooks_.module(); }
  LightningDataModule* data_module() const { return hooks_.data_module(); }
  Strategy& strategy() const { return *strategy_; }
  Accelerator& accelerator() const { return *accelerator_; }
  const Clock& clock() const { return *clock_; }
  HookCaller& hooks() { return hooks_; }
  // Null without one.
  Profiler* profiler() const { return hooks_.profiler(); }
  FitLoop& fit_loop() { return *fit_loop_; }
  OptimizersConfig& optimizers() { return optimizers_; }
  const std::vector<std::shared_ptr<Callback>>& callbacks() const { return callbacks_; }
  std::vector<std::shared_ptr<Callback>>& callbacks() { return callbacks_; }
  std::vector<std::shared_ptr<Logger>>& loggers() { return loggers_; }
  Precision& precision() { return *precision_; }
  bool is_global_zero() const { return strategy_->is_global_zero(); }
  int global_rank() const { return strategy_->layout().global_rank; }
  int local_rank() const { return strategy_->layout().local_rank; }
  int node_rank() const { return strategy_->layout().node_rank; }
  int world_size() const { return strategy_->layout().world_size; }
  bool is_last_batch() const { return progress_.fit.batch.is_last_batch; }
  std::string default_root_dir() const;
  // The first logger's folder, else default_root_dir.
  std::string log_dir() const;
  // The first of the user's loggers; null without one, and on ranks other than 0.
  std::shared_ptr<Logger> logger() const;
  // The first ModelCheckpoint / EarlyStopping; null without one.
  std::shared_ptr<Callback> checkpoint_callback() const;
  std::shared_ptr<Callback> early_stopping_callback() const;
  // One line on stdout, on rank 0 only.
  void print(std::string_view text) const;

  // ---- checkpoints. Called by all ranks; rank 0 writes, all return when the file is whole.
  void save_checkpoint(const std::string& path, std::optional<bool> weights_only = std::nullopt);
  // Returns when rank 0 has the state in memory; the file is written while training goes on
  // (checkpoint/background_writer.h). `then` follows on the writer's thread when it is whole,
  // `done` on this one at a later batch; both on rank 0 alone.
  void save_checkpoint_in_background(const std::string& path, std::optional<bool> weights_only,
                                     std::function<void()> then, std::function<void()> done);
  // Returns when everything is on the disk that was to be written there.
  void finish_checkpoints() { checkpoint_writer_->wait(); }
  checkpoint::BackgroundWriter& checkpoint_writer() { return *checkpoint_writer_; }
  // For who will save during this fit, after each batch: makes memory ready once it is known how
  // much a checkpoint needs. Costs a comparison.
  void expect_checkpoints() {
    if (!expecting_checkpoints_ && global_step() > 0) prepare_checkpoint_memory();
  }
  checkpoint::Dict dump_checkpoint(bool weights_only);
  // After what is still to be written; `done` as above.
  void remove_checkpoint(const std::string& path, std::function<void()> done = nullptr);
  // Inside a fit: module, callbacks, optimizers, schedulers and counters back to that file's.
  void restore(const std::string& path);
  // The file that this run started from; "" = none.
  const std::string& ckpt_path() const { return ckpt_path_; }
  std::int64_t resumed_at_step() const { return resumed_at_step_; }

  // ---- manual optimisation
  void manual_backward(const at::Tensor& loss) {
    fit_loop_->epoch_loop().optimization().manual_backward(loss);
  }
  void manual_step(Optimizer& optimizer, const LossClosure& closure) {
    fit_loop_->epoch_loop().optimization().manual_step(optimizer, closure);
  }

 private:
  // Remembers overrides where the static class is the object's own.
  template <UserModule Module>
  static TrainableModule& known(Module& module) {
    if constexpr (!std::is_abstract_v<Module>) {
      if (typeid(module) == typeid(Module)) TrainableModule::remember_overrides(module);
    }
    return module;
  }
  template <DataOrNone Data>
  static LightningDataModule* known(Data data) {
    if constexpr (!std::same_as<Data, std::nullptr_t>) {
      using Class = std::remove_pointer_t<Data>;
      if (data != nullptr && typeid(*data) == typeid(Class))
        LightningDataModule::remember_overrides(*data);
    }
    return data;
  }

  template <typename Run>
  void guarded(RunFn fn, Stage stage, TrainableModule& module, LightningDataModule* data,
               const ResumeFrom& from, Run&& run);
  ResumeFrom best_of_last_run(std::string_view fn, ResumeFrom from) const;
  void warn_of_double_transfer_hooks() const;
  void prepare(const ResumeFrom& from);
  void attach_callbacks();
  void warn_of_skipped_validation() const;
  void verify_configuration() const;
  void resolve_epoch_limits();
  void setup_profiler();
  std::int64_t total_steps(std::string_view step) const;
  void setup_hooks();
  void setup_strategy();
  void configure_optimizers();
  void settle_lr_scheduler(LRSchedulerConfig& config) const;
  checkpoint::Dict merged_hyperparameters() const;
  void log_hyperparameters();
  void sanity_check();
  void run_fit();
  void finish();
  void leave();
  void call_teardown_hooks();
  void tell_of_exception(const std::exception& error);
  void teardown_parts();
  std::string select_checkpoint(const ResumeFrom& from) const;
  std::string best_checkpoint() const;
  std::string last_checkpoint() const;
  std::string hpc_checkpoint() const;
  void restore_module_and_callbacks(const ResumeFrom& from);
  void restore_training_state(const ResumeFrom& from);
  void restore_exact_state(const checkpoint::Dict& loaded, const ResumeFrom& from);
  void prepare_checkpoint_memory();

  TrainerOptions options_;
  std::vector<std::shared_ptr<Callback>> callbacks_;
  std::vector<std::shared_ptr<Logger>> loggers_;
  std::unique_ptr<Accelerator> accelerator_;
  std::unique_ptr<Strategy> strategy_;
  const Clock* clock_;
  RunControl* control_;
  std::function<void(Trainer&, BoundaryAction)> save_for_orchestrator_;

  RunState state_;
  TrainerProgress progress_;
  HookCaller hooks_;
  std::unique_ptr<Precision> precision_;
  std::unique_ptr<LoggerConnector> logs_;
  std::unique_ptr<DataConnector> data_connector_;
  OptimizersConfig optimizers_;
  std::unique_ptr<checkpoint::BackgroundWriter> checkpoint_writer_;
  std::unique_ptr<LoopContext> context_;
  std::unique_ptr<FitLoop> fit_loop_;
  std::unique_ptr<EvaluationLoop> validate_loop_;
  std::unique_ptr<EvaluationLoop> test_loop_;
  std::unique_ptr<PredictionLoop> predict_loop_;

  std::string ckpt_path_;
  std::unique_ptr<checkpoint::Dict> loaded_checkpoint_;  // while it is being restored
  std::int64_t resumed_at_step_ = 0;
  bool expecting_checkpoints_ = false;
  bool failing_ = false;  // other ranks may be elsewhere: wait for none of them
};

}  // namespace lctl
