// An optimizer as manual optimisation sees it: Lightning's LightningOptimizer.
#pragma once

#include <functional>
#include <vector>

#include "worker/trainer/optim/optimizer.h"

namespace lctl {

class Trainer;

// step() runs on_before_optimizer_step, updates under the trainer's precision, and counts one
// global step. Cheap to copy; both must outlive it. Thread rule: one strand only (the training
// thread).
class LightningOptimizer {
 public:
  LightningOptimizer(Trainer& trainer, Optimizer& optimizer)
      : trainer_(&trainer), optimizer_(&optimizer) {}

  void step();
  // `closure` runs forward and backward (zero_grad, manual_backward) and gives the loss.
  void step(const LossClosure& closure);
  void zero_grad() { optimizer_->zero_grad(); }

  std::vector<ParamGroup>& param_groups() { return optimizer_->param_groups(); }
  Optimizer& optimizer() { return *optimizer_; }

 private:
  Trainer* trainer_;
  Optimizer* optimizer_;
};

}  // namespace lctl
