// torch.amp.GradScaler: keeps float16 gradients in range.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>

#include "worker/trainer/checkpoint/value.h"

namespace lctl {

class Optimizer;

// The loss is multiplied by a scale, gradients are divided by it. A step with gradients that are
// not finite is left out and lowers the scale; `growth_interval` good steps in a row raise it.
// Scale and counts live on the device. Source: torch/amp/grad_scaler.py; Micikevicius et al.,
// "Mixed Precision Training" (ICLR 2018). Thread rule: one strand only (the training thread).
class GradScaler {
 public:
  explicit GradScaler(c10::Device device);

  at::Tensor scale(const at::Tensor& loss) const;

  // Divides the gradients of all groups, and remembers whether all are finite. Throws
  // std::invalid_argument for float16 gradients (the weights must be float32).
  void unscale(Optimizer& optimizer);
  // The optimizer's step unless a gradient was not finite. Fused optimizers read that on the device
  // themselves (optim/skips_non_finite.h); for all others the host waits for the answer.
  void step(Optimizer& optimizer);
  // Once after step().
  void update();

  // torch's names: scale, growth_factor, backoff_factor, growth_interval, _growth_tracker.
  checkpoint::Dict state_dict() const;
  void load_state_dict(const checkpoint::Dict& state);

 private:
  at::Tensor scale_;           // float32, no dimension
  at::Tensor growth_tracker_;  // int32, no dimension
  at::Tensor found_inf_;       // float32, no dimension; 0 = all finite
  double growth_factor_ = 2.0;
  double backoff_factor_ = 0.5;
  std::int64_t growth_interval_ = 2000;
};

}  // namespace lctl
