// Measures the stages of a run, and ends training after a duration (Trainer's max_time).
#pragma once

#include <array>
#include <optional>
#include <string>

#include "base/clock.h"
#include "worker/trainer/callbacks/callback.h"

namespace lctl {

// Lightning's arguments with its defaults.
struct TimerOptions {
  std::optional<double> duration;  // seconds of training; unset: only measures
  std::string interval = "step";   // when to look: after each batch, or "epoch"
  bool verbose = true;
};

// Elapsed time is in checkpoints, so a duration counts over restarts. Rank 0's clock decides for
// all. Source: Lightning, callbacks/timer.py. Thread rule: one strand only.
class Timer final : public Callback {
 public:
  using Options = TimerOptions;

  enum class Period : std::uint8_t { kTrain, kSanityCheck, kValidate, kTest, kPredict };

  // Throws MisconfigurationException for an unknown interval.
  explicit Timer(TimerOptions options);

  std::string type_name() const override { return "Timer"; }
  checkpoint::Dict state_dict() override;
  void load_state_dict(const checkpoint::Dict& state) override;

  void on_fit_start(Trainer& trainer, TrainableModule& module) override;
  void on_train_start(Trainer& trainer, TrainableModule&) override {
    begin(trainer, Period::kTrain);
  }
  void on_train_end(Trainer& trainer, TrainableModule&) override { end(trainer, Period::kTrain); }
  void on_validation_start(Trainer& trainer, TrainableModule&) override {
    begin(trainer, Period::kValidate);
  }
  void on_validation_end(Trainer& trainer, TrainableModule&) override {
    end(trainer, Period::kValidate);
  }
  void on_test_start(Trainer& trainer, TrainableModule&) override { begin(trainer, Period::kTest); }
  void on_test_end(Trainer& trainer, TrainableModule&) override { end(trainer, Period::kTest); }
  void on_train_batch_end(Trainer& trainer, TrainableModule& module, const StepOutput& output,
                          const Batch& batch, std::int64_t batch_idx) override;
  void on_train_epoch_end(Trainer& trainer, TrainableModule& module) override;

  // Seconds so far; 0 when the period was never there.
  double time_elapsed(Period period) const;

 private:
  static constexpr std::size_t kPeriods = 5;
  struct Span {
    std::optional<MonotonicTime> begin;
    std::optional<MonotonicTime> end;
  };

  // A validation before training is a sanity check.
  Span& span_of(const Trainer& trainer, Period period);
  void begin(Trainer& trainer, Period period);
  void end(Trainer& trainer, Period period);
  void check(Trainer& trainer);

  TimerOptions options_;
  const Clock* clock_ = nullptr;  // the trainer's, from the first period on
  std::array<Span, kPeriods> spans_;
  double offset_ = 0;  // seconds of training before this process
};

}  // namespace lctl
