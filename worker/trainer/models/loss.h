// Losses and metrics of declarative models, by name.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

namespace lctl {

// torch.nn.functional's loss of that name with its defaults, called as loss(output, target).
using LossFunction = at::Tensor (*)(const at::Tensor& output, const at::Tensor& target);

// cross_entropy, nll_loss, mse_loss, l1_loss, smooth_l1_loss, binary_cross_entropy_with_logits.
// Throws std::invalid_argument that names the known ones.
LossFunction find_loss(std::string_view name);

// A number per batch from detached outputs.
using MetricFunction = at::Tensor (*)(const at::Tensor& output, const at::Tensor& target);

// accuracy (also `acc`), mae, mse. Accuracy depends on how the loss reads the outputs.
// Throws std::invalid_argument that names the known ones.
MetricFunction find_metric(std::string_view name, std::string_view loss);

}  // namespace lctl
