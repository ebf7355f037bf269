#include "worker/trainer/core/gradient_clipping.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_clamp_max.h>
#include <ATen/ops/_foreach_clamp_min.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>

#include "worker/trainer/optim/optimizer.h"

namespace lctl {

void clip_gradients(Optimizer& optimizer, double clip_val, ClipAlgorithm algorithm) {
  std::vector<at::Tensor> gradients;
  for (const ParamGroup& group : optimizer.param_groups()) {
    for (const at::Tensor& parameter : group.params) {
      if (parameter.grad().defined()) gradients.push_back(parameter.grad());
    }
  }
  if (gradients.empty()) return;
  const at::NoGradGuard no_grad;
  if (algorithm == ClipAlgorithm::kValue) {
    at::_foreach_clamp_min_(gradients, -clip_val);
    at::_foreach_clamp_max_(gradients, clip_val);
    return;
  }
  const std::vector<at::Tensor> norms = at::_foreach_norm(gradients, 2.0);
  const at::Tensor total = at::linalg_vector_norm(at::stack(norms), 2.0);
  const at::Tensor coefficient =
      at::clamp(total.add(1e-6).reciprocal().mul(clip_val), std::nullopt, 1.0);
  at::_foreach_mul_(gradients, coefficient);
}

}  // namespace lctl
