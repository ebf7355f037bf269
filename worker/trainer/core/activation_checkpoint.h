// Less memory for more work: torch.utils.checkpoint.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace lctl {

// function(input), without keeping what is inside for the backward pass: it is computed once more
// there, with the same random numbers and the same autocast as the first time, so results and
// gradients are those of a plain call. Costs one more forward of `function` a step and saves its
// activations. `function` must use the same modules both times, and they must outlive the backward
// pass; gradients reach their parameters also when `input` has none. Source:
// torch/utils/checkpoint.py (2.11). Thread rule: one strand only (the training thread).
at::Tensor activation_checkpoint(std::function<at::Tensor(const at::Tensor&)> function,
                                 const at::Tensor& input);

}  // namespace lctl
