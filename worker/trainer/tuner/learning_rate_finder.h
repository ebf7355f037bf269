// LearningRateFinder: trains with rising learning rates and watches the loss.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/tuner/lr_finder.h"

namespace lctl {

// Lightning's arguments with its defaults.
struct LrFindOptions {
  double min_lr = 1e-8;
  double max_lr = 1;
  std::int64_t num_training = 100;   // steps; max_epochs of the trainer applies, too
  std::string mode = "exponential";  // or "linear"
  std::optional<double> early_stop_threshold = 4.0;  // times the best loss; none: never
};

// Acts in on_fit_start and then leaves the fit (TunerExit). Weights, optimizer, counters, loaders
// and generators are as they were. Source: Smith, "Cyclical Learning Rates for Training Neural
// Networks" (WACV 2017); Lightning, tuner/lr_finder.py.
// Thread rule: one strand only (the training thread).
class LearningRateFinder final : public Callback {
 public:
  // Throws std::invalid_argument for an unknown mode.
  explicit LearningRateFinder(LrFindOptions options);

  std::string type_name() const override { return "LearningRateFinder"; }
  Kind kind() const override { return Kind::kTuner; }
  void on_fit_start(Trainer& trainer, TrainableModule& module) override;

  // None before the search, and in a development run.
  const std::optional<LrFinder>& found() const { return found_; }

 private:
  void search(Trainer& trainer);

  const LrFindOptions options_;
  std::optional<LrFinder> found_;
};

}  // namespace lctl
