// Optimizers whose kernels leave a step out by themselves.
#pragma once

#include <ATen/core/Tensor.h>

namespace lctl {

// torch's `_step_supports_amp_scaling`: the fused kernels read on the device whether a gradient was
// not finite, so that nobody waits for the answer. Thread rule: one strand only (the training
// thread).
class SkipsNonFinite {
 public:
  // Whether the parameter groups as they are now allow it: all are fused.
  virtual bool can_skip_non_finite() const = 0;

  // Optimizer::step(), without effect when `found_inf` (float32, no dimension) is not 0.
  virtual void step_unless(const at::Tensor& found_inf) = 0;

 protected:
  ~SkipsNonFinite() = default;
};

}  // namespace lctl
