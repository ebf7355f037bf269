// Ends training when a metric stops improving.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/connectors/metric_value.h"

namespace lctl {

// Lightning's arguments with its defaults.
struct EarlyStoppingOptions {
  std::string monitor;
  double min_delta = 0.0;
  std::int64_t patience = 3;
  bool verbose = false;
  std::string mode = "min";
  bool strict = true;
  bool check_finite = true;
  std::optional<double> stopping_threshold;
  std::optional<double> divergence_threshold;
  std::optional<bool> check_on_train_epoch_end;
  bool log_rank_zero_only = false;
};

enum class StoppingReason : std::int64_t {
  kNotStopped = 0,
  kThreshold = 1,
  kDivergence = 2,
  kPatience = 3,
  kNonFinite = 4
};

// Throws std::runtime_error when the metric is missing (strict). Thread rule: one strand only.
class EarlyStopping final : public Callback {
 public:
  using Options = EarlyStoppingOptions;

  explicit EarlyStopping(EarlyStoppingOptions options);

  std::string type_name() const override { return "EarlyStopping"; }
  std::string state_key() const override;
  Kind kind() const override { return Kind::kMonitor; }
  checkpoint::Dict state_dict() override;
  void load_state_dict(const checkpoint::Dict& state) override;

  void setup(Trainer& trainer, TrainableModule& module, std::string_view stage) override;
  void on_train_epoch_end(Trainer& trainer, TrainableModule& module) override;
  void on_validation_end(Trainer& trainer, TrainableModule& module) override;

  std::int64_t stopped_epoch() const { return stopped_epoch_; }
  std::int64_t wait_count() const { return wait_count_; }
  const MetricValue& best_score() const { return best_score_; }

 private:
  struct Verdict {
    bool stop = false;
    std::string reason;  // "" = nothing to say
  };

  void check(Trainer& trainer);
  Verdict evaluate(const MetricValue& current);
  bool better(double a, double b) const { return options_.mode == "min" ? a < b : a > b; }

  EarlyStoppingOptions options_;
  std::optional<bool> check_on_train_epoch_end_;
  std::int64_t wait_count_ = 0;
  std::int64_t stopped_epoch_ = 0;
  MetricValue best_score_;
  StoppingReason reason_ = StoppingReason::kNotStopped;
  std::optional<std::string> reason_message_;
};

}  // namespace lctl
