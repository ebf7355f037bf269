#include "worker/trainer/loggers/wandb/histogram.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace lctl::wandb {
namespace {

constexpr std::int64_t kBins = 64;

std::vector<double> doubles(const at::Tensor& tensor) {
  const at::Tensor wide = tensor.to(at::kDouble).contiguous();
  const double* const first = wide.const_data_ptr<double>();
  return {first, first + wide.numel()};
}

// The bin that zero lies in.
std::size_t bin_of_zero(const std::vector<double>& edges) {
  const std::size_t bins = edges.size() - 1;
  for (std::size_t i = 0; i < bins; ++i) {
    if (edges[i] <= 0 && edges[i + 1] > 0) return i;
  }
  return edges.back() == 0 ? bins - 1 : 0;
}

}  // namespace

std::optional<Histogram> histogram_of(const at::Tensor& tensor) {
  at::Tensor values = tensor.detach().cpu();
  std::int64_t implicit_zeros = 0;
  if (values.is_sparse()) {
    const std::int64_t all = values.numel();
    values = values.coalesce().values();
    implicit_zeros = all - values.numel();
  }
  values = values.reshape(-1);
  if (values.scalar_type() != at::kDouble) values = values.to(at::kFloat);
  const at::Tensor finite = values.isfinite();
  if (!finite.all().item<bool>()) values = values.masked_select(finite);
  if (values.numel() == 0) return std::nullopt;

  double least = values.min().item<double>();
  double greatest = values.max().item<double>();
  if (implicit_zeros > 0) {
    least = std::min(least, 0.0);
    greatest = std::max(greatest, 0.0);
  }
  Histogram histogram;
  if (least == greatest) {
    histogram.counts = {static_cast<double>(values.numel())};
    histogram.edges = {least, greatest};
  } else {
    histogram.counts = doubles(at::histc(values, kBins, least, greatest));
    histogram.edges = doubles(at::linspace(least, greatest, kBins + 1, at::kFloat));
  }
  if (implicit_zeros > 0)
    histogram.counts[bin_of_zero(histogram.edges)] += static_cast<double>(implicit_zeros);
  return histogram;
}

}  // namespace lctl::wandb
