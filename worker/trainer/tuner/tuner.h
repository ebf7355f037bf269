// Lightning's Tuner: searches before training.
//
//   Tuner tuner(trainer);
//   auto found = tuner.lr_find(model, &data);
//   model.lr = found->suggestion().value_or(1e-3);
#pragma once

#include <cstdint>
#include <optional>

#include "worker/trainer/tuner/batch_size_finder.h"
#include "worker/trainer/tuner/learning_rate_finder.h"

namespace lctl {

class LightningDataModule;

// Weights, optimizer and counters are as they were after each search; see the finders for what is
// left changed. Thread rule: one strand only (the training thread).
class Tuner {
 public:
  explicit Tuner(Trainer& trainer) : trainer_(trainer) {}

  // None in a development run (fast_dev_run).
  std::optional<LrFinder> lr_find(TrainableModule& module, LightningDataModule* data,
                                  LrFindOptions options = {});
  // Throws std::invalid_argument with several ranks.
  std::optional<std::int64_t> scale_batch_size(TrainableModule& module, LightningDataModule* data,
                                               ScaleBatchSizeOptions options = {});

 private:
  void run_with(std::shared_ptr<Callback> finder, TrainableModule& module,
                LightningDataModule* data);

  Trainer& trainer_;
};

}  // namespace lctl
