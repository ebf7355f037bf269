// StochasticWeightAveraging.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "worker/trainer/callbacks/averaged_model.h"
#include "worker/trainer/callbacks/callback.h"

namespace lctl {

class LRScheduler;

struct StochasticWeightAveragingOptions {
  std::vector<double> swa_lrs;  // one for all parameter groups, or one for each; > 0
  // The first epoch of the averaging phase (counted from 1), or its share of max_epochs.
  std::variant<std::int64_t, double> swa_epoch_start = 0.8;
  std::int64_t annealing_epochs = 10;
  std::string annealing_strategy = "cos";  // or "linear"
  AverageFunction average = equal_average();
  std::optional<std::string> device = "cpu";  // of the averages; none: that of the model
};

// From its first epoch on: the learning rate anneals to swa_lrs, and the weights at the start of
// each epoch enter an equal average, which the model has after training. A model with batch
// normalisation gets one more epoch, without backward, to gather the statistics of the averaged
// weights. Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better
// Generalization" (UAI 2018); Lightning's callbacks/stochastic_weight_avg.py.
// Thread rule: one strand only (the training thread).
class StochasticWeightAveraging final : public Callback {
 public:
  using Options = StochasticWeightAveragingOptions;

  // Throws MisconfigurationException in Lightning's words.
  explicit StochasticWeightAveraging(StochasticWeightAveragingOptions options);

  std::string type_name() const override { return "StochasticWeightAveraging"; }
  checkpoint::Dict state_dict() override;
  void load_state_dict(const checkpoint::Dict& state) override;

  void setup(Trainer& trainer, TrainableModule& module, std::string_view stage) override;
  void on_fit_start(Trainer& trainer, TrainableModule& module) override;
  void on_train_start(Trainer& trainer, TrainableModule& module) override;
  void on_train_epoch_start(Trainer& trainer, TrainableModule& module) override;
  void on_train_epoch_end(Trainer& trainer, TrainableModule& module) override;
  void on_train_end(Trainer& trainer, TrainableModule& module) override;

 private:
  bool averages_in(std::int64_t epoch) const;
  bool gathers_statistics_in(std::int64_t epoch) const;
  void begin_phase(Trainer& trainer, TrainableModule& module);
  void begin_statistics_epoch(Trainer& trainer, TrainableModule& module, bool from_zero);

  const StochasticWeightAveragingOptions options_;

  // Of the run; epochs count from 0.
  std::int64_t first_epoch_ = 0;
  std::int64_t last_epoch_ = -1;  // -1 = there is none
  bool has_batch_norm_ = false;
  std::int64_t accumulate_grad_batches_ = 1;  // the trainer's own, during the statistics epoch
  std::optional<AveragedModel> averaged_;
  std::shared_ptr<checkpoint::Dict> metadata_;  // of the module's state_dict
  std::int64_t count_ = 0;
  std::int64_t latest_update_epoch_ = -1;
  LRScheduler* scheduler_ = nullptr;  // the trainer's; null before the phase
  std::optional<checkpoint::Dict> scheduler_state_;
};

}  // namespace lctl
