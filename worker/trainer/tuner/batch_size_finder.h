// BatchSizeFinder: the largest batch that fits into memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "worker/trainer/callbacks/callback.h"

namespace lctl {

class Trial;

// Lightning's arguments with its defaults.
struct ScaleBatchSizeOptions {
  std::string mode = "power";  // or "binsearch"
  std::int64_t steps_per_trial = 3;
  std::int64_t init_val = 2;
  std::int64_t max_trials = 25;
  std::string batch_arg_name = "batch_size";
  double margin = 0.05;         // taken off the result of binsearch; in [0, 1)
  std::int64_t max_val = 8192;  // sizes from here on are not tried
};

// Whether an error says that memory ran out, on the CPU or on a GPU.
bool is_out_of_memory(std::string_view message);

// Doubles the data module's batch size until memory runs out or a batch holds all the data;
// binsearch then bisects. Acts in on_fit_start and then leaves the fit (TunerExit): the weights are
// as they were, the data module keeps the size. Draws random numbers, as Lightning's does.
// Source: Lightning, tuner/batch_size_scaling.py. Thread rule: one strand only (the training
// thread).
class BatchSizeFinder final : public Callback {
 public:
  // Throws std::invalid_argument for an unknown mode or a margin outside [0, 1).
  explicit BatchSizeFinder(ScaleBatchSizeOptions options);

  std::string type_name() const override { return "BatchSizeFinder"; }
  Kind kind() const override { return Kind::kTuner; }
  void setup(Trainer& trainer, TrainableModule& module, std::string_view stage) override;
  void on_fit_start(Trainer& trainer, TrainableModule& module) override;

  // None before the search, and in a development run.
  std::optional<std::int64_t> optimal_batch_size() const { return found_; }

 private:
  struct Size {
    std::int64_t value;
    bool changed;
  };
  enum class Outcome { kNone, kSucceeded, kFailed };  // of the size before, for the message

  std::int64_t search(Trainer& trainer);
  std::int64_t by_power(Trainer& trainer, Trial& trial, std::int64_t size) const;
  std::int64_t by_bisection(Trainer& trainer, Trial& trial, std::int64_t size) const;
  // Runs a trial; false when memory ran out.
  static bool fits(Trial& trial);
  Size adjust(Trainer& trainer, std::int64_t wanted, Outcome before, std::int64_t limit) const;

  const ScaleBatchSizeOptions options_;
  std::optional<std::int64_t> found_;
};

}  // namespace lctl
