#include "worker/trainer/callbacks/early_stopping.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/python_format.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {

EarlyStopping::EarlyStopping(EarlyStoppingOptions options)
    : options_(std::move(options)), check_on_train_epoch_end_(options_.check_on_train_epoch_end) {
  if (options_.mode != "min" && options_.mode != "max") {
    throw MisconfigurationException("`mode` can be min, max, got " + options_.mode);
  }
  best_score_ = MetricValue(options_.mode == "min" ? INFINITY : -INFINITY, false);
}

std::string EarlyStopping::state_key() const {
  return fmt::format("EarlyStopping{{'monitor': {}, 'mode': '{}'}}",
                     python_repr(std::string_view(options_.monitor)), options_.mode);
}

checkpoint::Dict EarlyStopping::state_dict() {
  checkpoint::Dict state;
  state.set("wait_count", wait_count_);
  state.set("stopped_epoch", stopped_epoch_);
  state.set("best_score", best_score_.tensor().cpu());
  state.set("patience", options_.patience);
  state.set("stopping_reason", static_cast<std::int64_t>(reason_));
  state.set("stopping_reason_message",
            reason_message_ ? checkpoint::Value(*reason_message_) : checkpoint::Value());
  return state;
}

void EarlyStopping::load_state_dict(const checkpoint::Dict& state) {
  wait_count_ = state.at("wait_count").as_int();
  stopped_epoch_ = state.at("stopped_epoch").as_int();
  best_score_ = MetricValue(state.at("best_score").as_tensor());
  options_.patience = state.at("patience").as_int();
  if (const auto* reason = state.find("stopping_reason")) {
    const std::int64_t number = reason->as_int();
    if (number < 0 || number > 4)
      throw std::runtime_error(fmt::format("checkpoint: unknown stopping reason {}", number));
    reason_ = static_cast<StoppingReason>(number);
  }
  if (const auto* message = state.find("stopping_reason_message");
      message != nullptr && message->is_string()) {
    reason_message_ = message->as_string();
  }
}

void EarlyStopping::setup(Trainer& trainer, TrainableModule&, std::string_view) {
  if (check_on_train_epoch_end_) return;
  // With several validations an epoch, or epochs without one, the moment to look is after
  // validation.
  const TrainerOptions& options = trainer.options();
  const bool whole_epoch =
      !options.val_check_time &&
      std::visit([](auto interval) { return interval == 1; }, options.val_check_interval.value());
  check_on_train_epoch_end_ =
      whole_epoch && options.check_val_every_n_epoch == std::optional<std::int64_t>(1);
}

void EarlyStopping::on_train_epoch_end(Trainer& trainer, TrainableModule&) {
  if (*check_on_train_epoch_end_) check(trainer);
}

void EarlyStopping::on_validation_end(Trainer& trainer, TrainableModule&) {
  if (!*check_on_train_epoch_end_) check(trainer);
}

void EarlyStopping::check(Trainer& trainer) {
  if (trainer.state().fn != RunFn::kFit || trainer.sanity_checking() ||
      trainer.options().fast_dev_run > 0)
    return;
  const MetricDict& metrics = trainer.callback_metrics();
  const MetricValue* current = metrics.find(options_.monitor);
  if (current == nullptr) {
    std::string names;
    for (const auto& [name, value] : metrics.entries())
      names += (names.empty() ? "" : "`, `") + name;
    const std::string message = fmt::format(
        "Early stopping conditioned on metric `{}` which is not available. Pass in or modify your "
        "`EarlyStopping` callback to use any "
        "of the following: `{}`",
        options_.monitor, names);
    if (options_.strict) throw std::runtime_error(message);
    if (options_.verbose) console::warn(message);
    return;
  }
  Verdict verdict = evaluate(*current);
  verdict.stop = trainer.strategy().reduce_boolean_decision(verdict.stop, /*all=*/false);
  if (verdict.stop) {
    trainer.set_should_stop();
    stopped_epoch_ = trainer.current_epoch();
    reason_message_.reset();  // another rank's reason is not known here
    if (!verdict.reason.empty()) reason_message_ = verdict.reason;
  }
  if (!verdict.reason.empty() && options_.verbose) console::info(verdict.reason);
}

EarlyStopping::Verdict EarlyStopping::evaluate(const MetricValue& metric) {
  const double current = metric.number();
  const std::string& monitor = options_.monitor;
  const char* sign = options_.mode == "min" ? "<" : ">";
  if (options_.check_finite && !std::isfinite(current)) {
    reason_ = StoppingReason::kNonFinite;
    return {true, fmt::format("Monitored metric {} = {} is not finite. Previous best value was "
                              "{:.3f}. Signaling Trainer to stop.",
                              monitor, python_repr(current), best_score_.number())};
  }
  const auto rounded = [&metric](double limit) {
    return MetricValue(limit, metric.is_wide()).number();
  };
  if (options_.stopping_threshold && better(current, rounded(*options_.stopping_threshold))) {
    reason_ = StoppingReason::kThreshold;
    return {true,
            fmt::format("Stopping threshold reached: {} = {} {} {}. Signaling Trainer to stop.",
                        monitor, python_repr(current), sign,
                        python_repr(*options_.stopping_threshold))};
  }
  if (options_.divergence_threshold && better(-current, -rounded(*options_.divergence_threshold))) {
    reason_ = StoppingReason::kDivergence;
    return {true,
            fmt::format("Divergence threshold reached: {} = {} {} {}. Signaling Trainer to stop.",
                        monitor, python_repr(current), sign,
                        python_repr(*options_.divergence_threshold))};
  }
  const double delta = options_.mode == "max" ? options_.min_delta : -options_.min_delta;
  // Computed in the metric's own precision, as a 0-dim tensor does.
  const double shifted =
      MetricValue(current - MetricValue(delta, metric.is_wide()).number(), metric.is_wide())
          .number();
  if (better(shifted, best_score_.number())) {
    std::string text =
        std::isfinite(best_score_.number())
            ? fmt::format("Metric {} improved by {:.3f} >= min_delta = {}. New best score: {:.3f}",
                          monitor, std::fabs(best_score_.number() - current),
                          python_repr(std::fabs(options_.min_delta)), current)
            : fmt::format("Metric {} improved. New best score: {:.3f}", monitor, current);
    best_score_ = metric;
    wait_count_ = 0;
    return {false, std::move(text)};
  }
  ++wait_count_;
  if (wait_count_ < options_.patience) return {};
  reason_ = StoppingReason::kPatience;
  return {true, fmt::format("Monitored metric {} did not improve in the last {} records. Best "
                            "score: {:.3f}. Signaling Trainer to stop.",
                            monitor, wait_count_, best_score_.number())};
}

}  // namespace lctl
