// WeightAveraging and EMAWeightAveraging.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "worker/trainer/callbacks/averaged_model.h"
#include "worker/trainer/callbacks/callback.h"

namespace lctl {

struct WeightAveragingOptions {
  std::optional<std::string> device;  // where the averages live; none: with the model
  bool use_buffers = true;            // average buffers too, else they are copied
};

// Averages the weights after every optimizer step. Validation and what is left after training use
// the average; a checkpoint's `state_dict` holds it, `current_model_state` the weights as trained.
// One update costs about three passes over all parameters. Source: Lightning's
// callbacks/weight_averaging.py. Thread rule: one strand only (the training thread).
class WeightAveraging : public Callback {
 public:
  using Options = WeightAveragingOptions;

  explicit WeightAveraging(WeightAveragingOptions options = {},
                           AverageFunction average = equal_average());

  std::string type_name() const override { return "WeightAveraging"; }
  checkpoint::Dict state_dict() override;
  void load_state_dict(const checkpoint::Dict& state) override;

  // Asked after each optimizer step (its index, from 0) and at the end of each epoch.
  virtual bool should_update_after_step(std::int64_t /*step*/) const { return true; }
  virtual bool should_update_after_epoch(std::int64_t /*epoch*/) const { return false; }

  void setup(Trainer& trainer, TrainableModule& module, std::string_view stage) override;
  void on_train_batch_end(Trainer& trainer, TrainableModule& module, const StepOutput& output,
                          const Batch& batch, std::int64_t batch_idx) override;
  void on_train_epoch_end(Trainer& trainer, TrainableModule& module) override;
  void on_train_end(Trainer& trainer, TrainableModule& module) override;
  void on_validation_epoch_start(Trainer& trainer, TrainableModule& module) override;
  void on_validation_epoch_end(Trainer& trainer, TrainableModule& module) override;
  void on_save_checkpoint(Trainer& trainer, TrainableModule& module,
                          checkpoint::Dict& checkpoint) override;
  void on_load_checkpoint(Trainer& trainer, TrainableModule& module,
                          checkpoint::Dict& checkpoint) override;

 private:
  void update();

  const WeightAveragingOptions options_;
  const AverageFunction average_;
  std::optional<AveragedModel> averaged_;  // while fitting
  std::int64_t count_ = 0;
  std::int64_t latest_update_step_ = 0;
  std::int64_t latest_update_epoch_ = -1;
};

struct EmaWeightAveragingOptions {
  WeightAveragingOptions base;
  double decay = 0.999;
  std::int64_t update_every_n_steps = 1;
  std::optional<std::int64_t> update_starting_at_step;
  std::optional<std::int64_t> update_starting_at_epoch;  // then also at the end of each epoch
};

// The exponential moving average. Thread rule: one strand only (the training thread).
class EMAWeightAveraging final : public WeightAveraging {
 public:
  using Options = EmaWeightAveragingOptions;

  explicit EMAWeightAveraging(const EmaWeightAveragingOptions& options);

  std::string type_name() const override { return "EMAWeightAveraging"; }
  bool should_update_after_step(std::int64_t step) const override;
  bool should_update_after_epoch(std::int64_t epoch) const override;

 private:
  const EmaWeightAveragingOptions options_;
};

}  // namespace lctl
