// The distribution of a tensor's values, as W&B draws it.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

namespace lctl::wandb {

// One more edge than counts; a bin holds its lower edge, the last one both.
struct Histogram {
  std::vector<double> counts;
  std::vector<double> edges;
};

// 64 bins of equal width from the least value to the greatest; one bin when all are equal. NaN and
// infinities are left out; nullopt when nothing remains. A sparse tensor's zeros count. Types other
// than float64 are counted as float32, as wandb.watch does; on the CPU, wherever the tensor is.
std::optional<Histogram> histogram_of(const at::Tensor& tensor);

}  // namespace lctl::wandb
