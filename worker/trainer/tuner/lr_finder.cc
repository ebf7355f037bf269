#include "worker/trainer/tuner/lr_finder.h"

#include <ATen/ops/argmin.h>
#include <ATen/ops/gradient.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

#include "worker/trainer/core/console.h"

namespace lctl {

std::optional<double> LrFinder::suggestion(std::int64_t skip_begin, std::int64_t skip_end) const {
  const auto count = static_cast<std::int64_t>(loss.size());
  const std::int64_t end = skip_end > 0 ? count - skip_end : 0;
  std::vector<std::size_t> indices;
  std::vector<float> losses;  // float32, as torch.tensor() makes them
  std::vector<float> lrs;
  for (std::int64_t i = skip_begin; i < end; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const auto value = static_cast<float>(loss[at]);
    if (!std::isfinite(value)) continue;
    indices.push_back(at);
    losses.push_back(value);
    lrs.push_back(static_cast<float>(lr[at]));
  }
  if (indices.size() < 2) {
    console::info(
        "Failed to compute suggestion for learning rate because there are not enough points. "
        "Increase the loop iteration limits or the size of your dataset/dataloader.");
    return std::nullopt;
  }
  const std::vector<at::Tensor> spacing = {at::tensor(lrs)};
  const at::Tensor gradient = at::gradient(at::tensor(losses), spacing).front();
  return lr[indices[static_cast<std::size_t>(at::argmin(gradient).item().toLong())]];
}

}  // namespace lctl
