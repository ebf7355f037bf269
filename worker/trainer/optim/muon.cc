#include "worker/trainer/optim/muon.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "worker/trainer/optim/saved_groups.h"

namespace lctl {
namespace {

checkpoint::Dict group_options(const std::vector<at::Tensor>& params, const MuonOptions& options) {
  require(options.momentum >= 0, "momentum should be >= 0 but is", options.momentum);
  require(options.weight_decay >= 0, "weight decay should be >= 0 but is", options.weight_decay);
  if (options.ns_steps >= 100) {
    throw std::invalid_argument(
        fmt::format("ns_steps: Number of steps must be less than 100 for computational efficiency, "
                    "not {}",
                    options.ns_steps));
  }
  for (const at::Tensor& param : params) {
    if (param.dim() == 2) continue;
    throw std::invalid_argument(
        fmt::format("Muon only supports 2D parameters whereas we found a parameter with size: [{}]",
                    fmt::join(param.sizes(), ", ")));
  }
  checkpoint::Dict group;
  group.set("weight_decay", options.weight_decay);
  group.set("momentum", options.momentum);
  group.set("nesterov", options.nesterov);
  checkpoint::Tuple coefficients;
  for (const double value : options.ns_coefficients) coefficients.items.emplace_back(value);
  group.set("ns_coefficients", std::move(coefficients));
  group.set("eps", options.eps);
  group.set("ns_steps", options.ns_steps);
  group.set("adjust_lr_fn",
            options.adjust_lr_fn ? checkpoint::Value(*options.adjust_lr_fn) : checkpoint::Value());
  return group;
}

// Newton and Schulz's iteration: nearly the nearest orthogonal matrix.
at::Tensor orthogonal(const at::Tensor& grad, const ParamGroup& group) {
  const checkpoint::Value& saved = group.options.at("ns_coefficients");
  const auto& coefficients = saved.is_list() ? saved.as_list() : saved.as_tuple().items;
  if (coefficients.size() != 3) {
    throw std::invalid_argument("ns_coefficients must be exactly 3 values");
  }
  const double a = saved_number(coefficients[0]);
  const double b = saved_number(coefficients[1]);
  const double c = saved_number(coefficients[2]);
  const bool tall = grad.size(0) > grad.size(1);
  at::Tensor result = grad.to(at::kBFloat16);
  if (tall) result = result.t();
  result.div_(at::linalg_vector_norm(result, 2).clamp_min(number_option(group, "eps")));
  const std::int64_t steps = group.options.at("ns_steps").as_int();
  for (std::int64_t i = 0; i < steps; ++i) {
    const at::Tensor gram = at::matmul(result, result.t());
    const at::Tensor change = at::addmm(gram, gram, gram, b, c);
    result = at::addmm(result, change, result, a);
  }
  return tall ? result.t() : result;
}

double adjusted_rate(const ParamGroup& group, const at::Tensor& param) {
  const auto rows = static_cast<double>(param.size(0));
  const auto columns = static_cast<double>(param.size(1));
  const checkpoint::Value& way = group.options.at("adjust_lr_fn");
  if (way.is_none() || way.as_string() == "original") {
    return group.lr * std::sqrt(std::max(1.0, rows / columns));
  }
  return group.lr * (0.2 * std::sqrt(std::max(rows, columns)));
}

}  // namespace

Muon::Muon(std::vector<at::Tensor> params, const MuonOptions& options)
    : TorchOptimizer(params, options.lr, group_options(params, options), {"momentum_buffer"}) {}

void Muon::update(const ParamGroup& group, std::vector<Item>& items) {
  const double momentum = number_option(group, "momentum");
  const double weight_decay = number_option(group, "weight_decay");
  const bool nesterov = flag_option(group, "nesterov");
  for (Item& item : items) {
    at::Tensor& buffer = (*item.state)[0];
    if (!buffer.defined()) buffer = at::zeros_like(item.grad);
    buffer.lerp_(item.grad, 1 - momentum);
    const at::Tensor change =
        orthogonal(nesterov ? item.grad.lerp(buffer, momentum) : buffer, group);
    item.param.mul_(1 - group.lr * weight_decay);
    item.param.add_(change, -adjusted_rate(group, item.param));
  }
}

}  // namespace lctl
