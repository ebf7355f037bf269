#include "worker/trainer/callbacks/timer.h"

#include <fmt/format.h>

#include <chrono>
#include <string_view>
#include <utility>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"train", "sanity_check", "validate", "test",
                                                    "predict"};

// Python's str(timedelta(seconds=int(seconds))).
std::string python_timedelta(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds);
  const std::int64_t days = whole / 86400;
  std::string text;
  if (days > 0) text = fmt::format("{} day{}, ", days, days == 1 ? "" : "s");
  return text + fmt::format("{}:{:02}:{:02}", whole % 86400 / 3600, whole % 3600 / 60, whole % 60);
}

}  // namespace

Timer::Timer(TimerOptions options) : options_(std::move(options)) {
  if (options_.interval != "step" && options_.interval != "epoch") {
    throw MisconfigurationException(fmt::format(
        "Unsupported parameter value `Timer(interval={})`. Possible choices are: step, epoch",
        options_.interval));
  }
}

double Timer::time_elapsed(Period period) const {
  const Span& span = spans_[static_cast<std::size_t>(period)];
  const double before = period == Period::kTrain ? offset_ : 0;
  if (!span.begin) return before;
  const MonotonicTime until = span.end ? *span.end : clock_->monotonic_now();
  return before + std::chrono::duration<double>(until - *span.begin).count();
}

checkpoint::Dict Timer::state_dict() {
  checkpoint::Dict elapsed;
  for (std::size_t i = 0; i < kPeriods; ++i) {
    const double seconds = time_elapsed(static_cast<Period>(i));
    // Python's int 0 for what was never there.
    elapsed.set(kNames[i], seconds == 0 ? checkpoint::Value(0) : checkpoint::Value(seconds));
  }
  checkpoint::Dict state;
  state.set("time_elapsed", checkpoint::Value(std::move(elapsed)));
  return state;
}

void Timer::load_state_dict(const checkpoint::Dict& state) {
  const checkpoint::Value* elapsed = state.find("time_elapsed");
  const checkpoint::Value* train =
      elapsed == nullptr || !elapsed->is_dict() ? nullptr : elapsed->as_dict().find("train");
  offset_ = train == nullptr ? 0 : train->as_double();
}

Timer::Span& Timer::span_of(const Trainer& trainer, Period period) {
  const bool sanity = period == Period::kValidate && trainer.sanity_checking();
  return spans_[static_cast<std::size_t>(sanity ? Period::kSanityCheck : period)];
}

void Timer::begin(Trainer& trainer, Period period) {
  clock_ = &trainer.clock();
  span_of(trainer, period) = {clock_->monotonic_now(), std::nullopt};
}

void Timer::end(Trainer& trainer, Period period) {
  span_of(trainer, period).end = trainer.clock().monotonic_now();
}

// The state is loaded by now: a run whose time is up must not begin again.
void Timer::on_fit_start(Trainer& trainer, TrainableModule& /*module*/) { check(trainer); }

void Timer::on_train_batch_end(Trainer& trainer, TrainableModule& /*module*/,
                               const StepOutput& /*output*/, const Batch& /*batch*/,
                               std::int64_t /*batch_idx*/) {
  if (options_.interval == "step") check(trainer);
}

void Timer::on_train_epoch_end(Trainer& trainer, TrainableModule& /*module*/) {
  if (options_.interval == "epoch") check(trainer);
}

void Timer::check(Trainer& trainer) {
  if (!options_.duration) return;
  const double elapsed = time_elapsed(Period::kTrain);
  const bool over = trainer.strategy().reduce_boolean_decision(
      trainer.is_global_zero() && elapsed >= *options_.duration, /*all=*/false);
  if (!over) return;
  trainer.set_should_stop();
  if (!options_.verbose) return;
  console::info(fmt::format("Time limit reached. Elapsed time is {}. Signaling Trainer to stop.",
                            python_timedelta(elapsed)));
}

}  // namespace lctl
