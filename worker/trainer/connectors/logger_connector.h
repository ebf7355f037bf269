// Takes what self.log brings and decides when it reaches the loggers and the three metric
// dictionaries.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/trainer/connectors/metric_value.h"
#include "worker/trainer/connectors/result_collection.h"
#include "worker/trainer/core/log_options.h"
#include "worker/trainer/data/batch.h"
#include "worker/trainer/loggers/logger.h"
#include "worker/trainer/loops/fit_progress.h"
#include "worker/trainer/trainer/run_state.h"

namespace lctl {

class HookCaller;

// Lightning's logger connector: same moments, steps, names and order of keys. Values stay on their
// device until a logger or a callback reads them.
// Thread rule: one strand only (the training thread).
class LoggerConnector final : public LogSink {
 public:
  struct Options {
    std::int64_t log_every_n_steps = 50;  // 0 = no step metrics
    bool fast_dev_run = false;
    bool barebones = false;
  };

  // All references must outlive the connector.
  LoggerConnector(Options options, const RunState& state, const TrainerProgress& progress,
                  const HookCaller& hooks);

  // Loggers are written on rank 0 only: other ranks pass none. `reduce` is the strategy's.
  void set_loggers(std::vector<std::shared_ptr<Logger>> loggers) { loggers_ = std::move(loggers); }
  const std::vector<std::shared_ptr<Logger>>& loggers() const { return loggers_; }
  void set_has_user_logger(bool has) { has_user_logger_ = has; }
  bool has_user_logger() const { return has_user_logger_; }
  void set_distributed(std::int64_t world_size, MetricReduce reduce);

  // ---- self.log
  void log(std::string_view name, const at::Tensor& value, const LogOptions& options) override;
  void log(std::string_view name, double value, const LogOptions& options) override;

  // ---- events of the loops, in Lightning's names
  void on_batch_start(const Batch& batch, std::optional<std::int64_t> dataloader_idx);
  void on_batch_end();
  // An exception left the batch.
  void forget_batch() { batch_ = nullptr; }
  void on_epoch_end();
  void epoch_end_reached() { first_loop_iter_.reset(); }
  void evaluation_epoch_end() { results().set_dataloader_idx(-1); }
  // `may_log`: accumulation is complete.
  void update_train_step_metrics(bool may_log);
  void update_train_epoch_metrics();
  void update_eval_step_metrics(std::int64_t step);
  MetricDict update_eval_epoch_metrics();
  void log_eval_end_metrics(const MetricDict& metrics) { log_eval(metrics); }
  void reset_results();
  void reset_metrics();

  // Whether step metrics are written at this moment (also asked by monitors, before a step).
  bool should_update_logs() const;

  // Writes to all loggers. step unset: the logger step, with `epoch` added.
  void log_metrics(const MetricDict& metrics, std::optional<std::int64_t> step);

  // The same for a row of a monitor's, which may hold integers.
  void log_row(std::vector<LoggedMetric> row, std::optional<std::int64_t> step);

  // A monitor's row as it is, at the logger step; shown at the next write that is saved.
  void log_beside(std::span<const LoggedMetric> row);

  // ---- the dictionaries that callbacks read; brought up to date first
  const MetricDict& callback_metrics();
  const MetricDict& logged_metrics();
  const MetricDict& progress_bar_metrics();
  MetricDict& mutable_callback_metrics() { return callback_metrics_; }

  // Validation inside the training epoch must leave this mark as it was.
  std::optional<bool> first_loop_iter() const { return first_loop_iter_; }
  void set_first_loop_iter(std::optional<bool> value) { first_loop_iter_ = value; }

  // Called with the metrics of each write, before they go to the loggers.
  using Listener = std::function<void(std::int64_t step, std::span<const LoggedMetric>)>;

  // For exact resume.
  checkpoint::Dict state() const;
  void load_state(const checkpoint::Dict& state);

 private:
  ResultCollection& results();
  const ResultCollection& results() const { return const_cast<LoggerConnector*>(this)->results(); }
  void log_value(std::string_view name, const MetricValue& value, const LogOptions& options);
  void log_eval(const MetricDict& metrics);
  void write(std::span<const LoggedMetric> row, std::int64_t step);
  void collect_current();
  MetricDict collect_log();
  std::int64_t infer_batch_size();

  const Options options_;
  const RunState& state_;
  const TrainerProgress& progress_;
  const FitProgress& fit_;  // progress_.fit
  const HookCaller& hooks_;

  std::vector<std::shared_ptr<Logger>> loggers_;
  bool has_user_logger_ = false;
  std::int64_t world_size_ = 1;
  MetricReduce reduce_;

  ResultCollection train_results_{true};
  ResultCollection val_results_{false};  // validation inside fit
  ResultCollection validate_results_{false};
  ResultCollection test_results_{false};
  ResultCollection predict_results_{false};  // stays empty: predict hooks may not log
  const Batch* batch_ = nullptr;             // between on_batch_start and on_batch_end

  MetricDict callback_metrics_;
  MetricDict logged_metrics_;
  MetricDict progress_bar_metrics_;
  Hook current_fx_ = Hook::kNone;  // of the newest self.log call
  // Unset: outside a batch loop. True: its first batch. False: later ones.
  std::optional<bool> first_loop_iter_;
  std::vector<LoggedMetric> row_;  // kept for its memory
};

}  // namespace lctl
