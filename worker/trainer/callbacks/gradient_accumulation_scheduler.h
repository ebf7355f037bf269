// Changes accumulate_grad_batches by epoch.
#pragma once

#include <cstdint>
#include <map>

#include "worker/trainer/callbacks/callback.h"

namespace lctl {

// Source: Lightning, callbacks/gradient_accumulation_scheduler.py. Thread rule: one strand only.
class GradientAccumulationScheduler final : public Callback {
 public:
  // `scheduling`: from that epoch on, so many batches for each step; epoch 0 is 1 when not given.
  // Throws MisconfigurationException for an empty map, a negative epoch or a factor below 1.
  explicit GradientAccumulationScheduler(std::map<std::int64_t, std::int64_t> scheduling);

  std::string type_name() const override { return "GradientAccumulationScheduler"; }

  // Throws when the module optimizes by hand, or the trainer accumulates too.
  void on_train_start(Trainer& trainer, TrainableModule& module) override;
  void on_train_epoch_start(Trainer& trainer, TrainableModule& module) override;

  std::int64_t accumulate_grad_batches(std::int64_t epoch) const;

 private:
  std::map<std::int64_t, std::int64_t> scheduling_;
};

}  // namespace lctl
