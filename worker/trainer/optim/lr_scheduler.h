// torch.optim.lr_scheduler's schedulers.
#pragma once

#include <string>

#include "worker/trainer/checkpoint/value.h"

namespace lctl {

class Optimizer;

// Construction performs torch's initial step. Thread rule: one strand only (the training thread).
class LRScheduler {
 public:
  virtual ~LRScheduler() = default;

  virtual std::string type_name() const = 0;  // "StepLR"
  virtual Optimizer& optimizer() const = 0;

  // `metric`: for ReduceLROnPlateau, null for all others.
  virtual void step(const double* metric) = 0;
  virtual bool is_reduce_on_plateau() const { return false; }

  // All attributes but the optimizer, in torch's order.
  virtual checkpoint::Dict state_dict() const = 0;
  virtual void load_state_dict(const checkpoint::Dict& state) = 0;
};

}  // namespace lctl
