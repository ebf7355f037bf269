#include "worker/trainer/connectors/logger_connector.h"

#include <stdexcept>

#include "worker/trainer/connectors/batch_size.h"
#include "worker/trainer/connectors/log_rules.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/trainer/hook_caller.h"

namespace lctl {

LoggerConnector::LoggerConnector(Options options, const RunState& state,
                                 const TrainerProgress& progress, const HookCaller& hooks)
    : options_(options), state_(state), progress_(progress), fit_(progress.fit), hooks_(hooks) {}

void LoggerConnector::set_distributed(std::int64_t world_size, MetricReduce reduce) {
  world_size_ = world_size;
  reduce_ = std::move(reduce);
}

ResultCollection& LoggerConnector::results() {
  switch (state_.stage) {
    case Stage::kTrain:
    case Stage::kNone:
      return train_results_;
    case Stage::kSanityCheck:
      return val_results_;
    case Stage::kValidate:
      return state_.fn == RunFn::kFit ? val_results_ : validate_results_;
    case Stage::kTest:
      return test_results_;
    case Stage::kPredict:
      return predict_results_;
  }
  return train_results_;
}

void LoggerConnector::log(std::string_view name, const at::Tensor& value,
                          const LogOptions& options) {
  if (value.numel() != 1) {
    throw std::invalid_argument("`self.log(" + std::string(name) + ", <tensor of " +
                                std::to_string(value.numel()) +
                                " elements>)` was called, but the tensor must have a single "
                                "element. Log its mean() instead");
  }
  if (!value.is_floating_point()) {
    console::warn(
        "You called `self.log('" + std::string(name) + "', ...)` in your `" +
        std::string(hook_name(hooks_.current())) +
        "` but the value needs to be floating to be reduced. Converting it to torch.float32.");
  }
  log_value(name, MetricValue(value), options);
}

void LoggerConnector::log(std::string_view name, double value, const LogOptions& options) {
  log_value(name,
            MetricValue(value, at::typeMetaToScalarType(c10::get_default_dtype()) == at::kDouble),
            options);
}

void LoggerConnector::log_value(std::string_view name, const MetricValue& value,
                                const LogOptions& options) {
  if (options_.barebones) {
    console::warn(
        "You are trying to `self.log()` but `Trainer(barebones=True)` is configured. Logging can "
        "impact raw speed so it "
        "is disabled under this setting.");
    return;
  }
  if (state_.stage == Stage::kPredict) {
    throw MisconfigurationException(
        "You are trying to `self.log()` but the loop's result collection is not registered yet. "
        "This is most likely "
        "because you are trying to log in a `predict` hook, but it doesn't support logging");
  }
  const Hook hook = hooks_.current();
  const LogLevels levels = resolve_log_levels(hook, options);
  if (options.add_dataloader_idx && name.find("/dataloader_idx_") != std::string_view::npos) {
    throw MisconfigurationException(
        "You called `self.log` with the key `" + std::string(name) +
        "` but it should not contain information about `dataloader_idx` when "
        "`add_dataloader_idx=True`");
  }
  ResultCollection& collection = results();
  // The first log call of a hook in a new epoch or run forgets what is left of the one before.
  if (current_fx_ != hook && first_loop_iter_.value_or(true)) collection.reset_hook(hook);
  if (options.logger.value_or(false) && !has_user_logger_) {
    console::warn(
        "You called `self.log('" + std::string(name) +
        "', ..., logger=True)` but have no logger configured. You can enable one by doing "
        "`Trainer(logger=ALogger(...))`");
  }
  LogCall call;
  call.hook = hook;
  call.name = name;
  call.on_step = levels.on_step;
  call.on_epoch = levels.on_epoch;
  call.sync = options.sync_dist && world_size_ > 1 && !options.rank_zero_only;
  call.options = &options;
  collection.log(call, value, [this] { return infer_batch_size(); }, reduce_);
  current_fx_ = hook;
}

std::int64_t LoggerConnector::infer_batch_size() {
  return batch_ == nullptr ? 1 : extract_batch_size(*batch_);
}

void LoggerConnector::on_batch_start(const Batch& batch,
                                     std::optional<std::int64_t> dataloader_idx) {
  first_loop_iter_ = !first_loop_iter_.has_value();
  batch_ = &batch;
  results().begin_batch(dataloader_idx);
}

void LoggerConnector::collect_current() {
  results().collect(first_loop_iter_.has_value(),
                    {&callback_metrics_, &logged_metrics_, &progress_bar_metrics_}, reduce_,
                    world_size_);
}

MetricDict LoggerConnector::collect_log() {
  MetricDict metrics;
  results().collect(first_loop_iter_.has_value(), {nullptr, &metrics, nullptr}, reduce_,
                    world_size_);
  return metrics;
}

void LoggerConnector::on_batch_end() {
  collect_current();
  batch_ = nullptr;
  results().end_batch();
}

void LoggerConnector::on_epoch_end() {
  collect_current();
  current_fx_ = Hook::kNone;
}

bool LoggerConnector::should_update_logs() const {
  const std::int64_t every = options_.log_every_n_steps;
  if (every == 0) return false;
  std::int64_t step = 0;
  switch (state_.stage) {
    case Stage::kTrain:
      step = fit_.batches_that_stepped + 1;
      break;
    case Stage::kNone:
      return true;
    case Stage::kPredict:
      step = progress_.predict.current.ready;
      break;
    case Stage::kTest:
      step = progress_.test.current.ready;
      break;
    case Stage::kValidate:
    case Stage::kSanityCheck: {
      const bool inside_fit = state_.fn == RunFn::kFit;
      step = (inside_fit ? fit_.val_batch : progress_.validate).current.ready;
      break;
    }
  }
  return step % every == 0 || state_.should_stop;
}

void LoggerConnector::update_train_step_metrics(bool may_log) {
  if (!may_log) return;
  if (!should_update_logs() && !options_.fast_dev_run) return;
  train_results_.warn_of_stale_steps();
  log_metrics(collect_log(), std::nullopt);
  train_results_.mark_steps_written();
}

void LoggerConnector::update_train_epoch_metrics() {
  log_metrics(collect_log(), std::nullopt);
  reset_results();
}

void LoggerConnector::update_eval_step_metrics(std::int64_t step) {
  log_metrics(collect_log(), step);
}

MetricDict LoggerConnector::update_eval_epoch_metrics() {
  if (state_.sanity_checking()) return {};
  collect_current();
  return collect_log();
}

void LoggerConnector::log_eval(const MetricDict& metrics) {
  if (!state_.sanity_checking()) log_metrics(metrics, std::nullopt);
}

void LoggerConnector::log_metrics(const MetricDict& metrics, std::optional<std::int64_t> step) {
  if (metrics.empty() || (loggers_.empty() && !has_user_logger_)) return;
  logged_metrics_.update(metrics);
  if (loggers_.empty()) return;
  row_.clear();
  bool has_epoch = false;
  for (const auto& [name, value] : metrics.entries()) {
    if (!step && name == "step") continue;
    has_epoch = has_epoch || name == "epoch";
    row_.push_back({name, value.number()});
  }
  if (!step) {
    if (const MetricValue* own = metrics.find("step")) {
      step = static_cast<std::int64_t>(own->number());
    } else {
      if (!has_epoch) row_.push_back({"epoch", fit_.current_epoch()});
      step = fit_.batches_that_stepped;
    }
  }
  write(row_, *step);
}

void LoggerConnector::log_row(std::vector<LoggedMetric> row, std::optional<std::int64_t> step) {
  if (!step) row.push_back({"epoch", fit_.current_epoch()});
  write(row, step.value_or(fit_.batches_that_stepped));
}

void LoggerConnector::write(std::span<const LoggedMetric> row, std::int64_t step) {
  for (const auto& logger : loggers_) {
    logger->log_metrics(row, step);
    logger->save();
  }
}

void LoggerConnector::log_beside(std::span<const LoggedMetric> row) {
  for (const auto& logger : loggers_) logger->log_metrics(row, fit_.batches_that_stepped);
}

void LoggerConnector::reset_results() {
  results().reset();
  first_loop_iter_.reset();
  current_fx_ = Hook::kNone;
}

void LoggerConnector::reset_metrics() {
  callback_metrics_.clear();
  logged_metrics_.clear();
  progress_bar_metrics_.clear();
}

const MetricDict& LoggerConnector::callback_metrics() {
  if (!results().empty()) collect_current();
  return callback_metrics_;
}

const MetricDict& LoggerConnector::logged_metrics() {
  if (!results().empty()) collect_current();
  return logged_metrics_;
}

const MetricDict& LoggerConnector::progress_bar_metrics() {
  if (!results().empty()) collect_current();
  return progress_bar_metrics_;
}

namespace {

checkpoint::Dict save(const MetricDict& metrics) {
  checkpoint::Dict state;
  for (const auto& [name, value] : metrics.entries()) state.set(name, value.tensor().cpu());
  return state;
}

MetricDict load(const checkpoint::Dict& state) {
  MetricDict metrics;
  for (const auto& [name, value] : state.entries())
    metrics.set(name.as_string(), MetricValue(value.as_tensor()));
  return metrics;
}

}  // namespace

checkpoint::Dict LoggerConnector::state() const {
  checkpoint::Dict state;
  state.set("train_results", train_results_.state());
  state.set("callback_metrics", save(callback_metrics_));
  state.set("logged_metrics", save(logged_metrics_));
  state.set("progress_bar_metrics", save(progress_bar_metrics_));
  state.set("first_loop_iter",
            first_loop_iter_ ? checkpoint::Value(*first_loop_iter_) : checkpoint::Value());
  state.set("current_fx", static_cast<std::int64_t>(current_fx_));
  return state;
}

void LoggerConnector::load_state(const checkpoint::Dict& state) {
  train_results_.load_state(state.at("train_results").as_list());
  callback_metrics_ = load(state.at("callback_metrics").as_dict());
  logged_metrics_ = load(state.at("logged_metrics").as_dict());
  progress_bar_metrics_ = load(state.at("progress_bar_metrics").as_dict());
  const checkpoint::Value& first = state.at("first_loop_iter");
  first_loop_iter_ = first.is_none() ? std::nullopt : std::optional<bool>(first.as_bool());
  const std::int64_t hook = state.at("current_fx").as_int();
  current_fx_ = hook >= 0 && hook < kHookCount ? static_cast<Hook>(hook) : Hook::kNone;
}

}  // namespace lctl
