// Ends training, or has it rolled back, when the loss spikes.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/callbacks/roll_back_point.h"

namespace lctl {

enum class SpikeAction : std::uint8_t {
  kRaise,     // Lightning's: training fails
  kRollBack,  // a job of an lctl server goes on from before the spike, without its batches
};

// Lightning's arguments with its defaults, and lctl's own two.
struct SpikeDetectionOptions {
  std::string mode = "min";
  std::int64_t window = 10;
  std::int64_t warmup = 1;
  std::optional<double> atol;
  std::optional<double> rtol = 2.0;
  std::optional<std::string> exclude_batches_path;
  bool finite_only = true;
  SpikeAction action = SpikeAction::kRaise;
  std::int64_t max_roll_backs = 3;  // the job fails when it was rolled back so often before
};

// Lightning's exception, in its words.
class TrainingSpikeException : public std::runtime_error {
 public:
  explicit TrainingSpikeException(std::int64_t batch_idx)
      : std::runtime_error("Training spike detected in batch " + std::to_string(batch_idx)) {}
};

// The mean of the last `window` losses, and whether the next one is a spike. Pure.
class SpikeJudge {
 public:
  explicit SpikeJudge(const SpikeDetectionOptions& options) : options_(options) {}

  // Worse than the one before it and away from the mean by atol and by rtol of it (each when set);
  // with finite_only also a loss that is not finite.
  bool is_spike(double loss) const;
  void update(double loss);
  double mean() const;  // NaN before the first; values that are NaN do not count

  double last() const { return last_; }
  const std::deque<double>& window() const { return window_; }
  void restore(double last, std::deque<double> window);

 private:
  const SpikeDetectionOptions options_;
  double last_ = 0;
  std::deque<double> window_;
};

// Looks at the loss behind each batch, and asks all ranks: one spike on one of them counts for all.
// Writes the batches to skip (the spike's and the one before it) to `exclude_batches_path` as
// Lightning does, on rank 0. Waits for the device once a batch. Thread rule: one strand only.
class SpikeDetection final : public Callback {
 public:
  // Throws MisconfigurationException.
  explicit SpikeDetection(SpikeDetectionOptions options = {});

  std::string type_name() const override { return "SpikeDetection"; }
  checkpoint::Dict state_dict() override;
  void load_state_dict(const checkpoint::Dict& state) override;

  void on_train_batch_start(Trainer& trainer, TrainableModule& module, const Batch& batch,
                            std::int64_t batch_idx) override;
  void on_train_batch_end(Trainer& trainer, TrainableModule& module, const StepOutput& output,
                          const Batch& batch, std::int64_t batch_idx) override;

  const std::vector<std::int64_t>& bad_batches() const { return bad_batches_; }

 private:
  [[noreturn]] void spiked(Trainer& trainer, double loss, bool own, std::int64_t batch_idx);
  void write_bad_batches(const Trainer& trainer) const;

  const SpikeDetectionOptions options_;
  SpikeJudge judge_;
  RollBackPoint point_;
  std::vector<std::int64_t> bad_batches_;  // batch_idx only, as in Lightning
};

}  // namespace lctl
