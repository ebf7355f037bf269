#include "worker/trainer/models/loss.h"

#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/broadcast_tensors.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/l1_loss.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/nll_loss_nd.h>
#include <ATen/ops/smooth_l1_loss.h>
#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

namespace lctl {
namespace {

using In = const at::Tensor&;

std::string shape_text(In tensor) {
  std::ostringstream out;
  out << tensor.sizes();
  return out.str();
}

// torch's regression losses work on shapes that broadcast.
template <auto Loss>
at::Tensor broadcast_loss(In output, In target) {
  const std::vector<at::Tensor> both = at::broadcast_tensors({output, target});
  return Loss(both[0], both[1]);
}

at::Tensor cross_entropy(In output, In target) { return at::cross_entropy_loss(output, target); }
at::Tensor nll(In output, In target) { return at::nll_loss_nd(output, target); }
at::Tensor mse(In output, In target) { return at::mse_loss(output, target); }
at::Tensor l1(In output, In target) { return at::l1_loss(output, target); }
at::Tensor smooth_l1(In output, In target) { return at::smooth_l1_loss(output, target); }

at::Tensor binary_cross_entropy_with_logits(In output, In target) {
  if (output.sizes() != target.sizes()) {
    throw std::invalid_argument(fmt::format("Target size ({}) must be the same as input size ({})",
                                            shape_text(target), shape_text(output)));
  }
  return at::binary_cross_entropy_with_logits(output, target);
}

at::Tensor class_accuracy(In output, In target) {
  return output.argmax(-1).eq(target).to(at::kFloat).mean();
}

at::Tensor binary_accuracy(In output, In target) {
  return output.gt(0).eq(target.gt(0.5)).to(at::kFloat).mean();
}

at::Tensor mean_absolute_error(In output, In target) { return output.sub(target).abs().mean(); }
at::Tensor mean_squared_error(In output, In target) { return output.sub(target).pow(2).mean(); }

struct NamedLoss {
  std::string_view name;
  LossFunction function;
};

constexpr NamedLoss kLosses[] = {
    {"cross_entropy", cross_entropy},
    {"nll_loss", nll},
    {"mse_loss", broadcast_loss<mse>},
    {"l1_loss", broadcast_loss<l1>},
    {"smooth_l1_loss", broadcast_loss<smooth_l1>},
    {"binary_cross_entropy_with_logits", binary_cross_entropy_with_logits},
};

}  // namespace

LossFunction find_loss(std::string_view name) {
  for (const NamedLoss& loss : kLosses) {
    if (loss.name == name) return loss.function;
  }
  std::string known;
  for (const NamedLoss& loss : kLosses)
    known += fmt::format("{}{}", known.empty() ? "" : ", ", loss.name);
  throw std::invalid_argument(fmt::format("unknown loss '{}'; there are {}", name, known));
}

MetricFunction find_metric(std::string_view name, std::string_view loss) {
  if (name == "accuracy" || name == "acc") {
    return loss == "binary_cross_entropy_with_logits" ? binary_accuracy : class_accuracy;
  }
  if (name == "mae") return mean_absolute_error;
  if (name == "mse") return mean_squared_error;
  throw std::invalid_argument(
      fmt::format("unknown metric '{}'; there are accuracy, acc, mae, mse", name));
}

}  // namespace lctl
