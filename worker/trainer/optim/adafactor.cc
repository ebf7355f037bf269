#include "worker/trainer/optim/adafactor.h"

#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "worker/trainer/optim/saved_groups.h"

namespace lctl {
namespace {

checkpoint::Dict group_options(const AdafactorOptions& options) {
  require(options.beta2_decay <= 0, "beta2_decay should be <= 0 but is", options.beta2_decay);
  require(options.eps1.value_or(0) >= 0, "epsilon1 should be >= 0 but is",
          options.eps1.value_or(0));
  require(options.eps2 >= 0, "epsilon2 should be >= 0 but is", options.eps2);
  require(options.d >= 1, "Clipping threshold d should be >= 1 but is", options.d);
  require(options.weight_decay >= 0, "weight_decay should be >= 0 but is", options.weight_decay);
  checkpoint::Dict group;
  group.set("beta2_decay", options.beta2_decay);
  group.set("eps", checkpoint::Tuple{
                       {options.eps1 ? checkpoint::Value(*options.eps1) : checkpoint::Value(),
                        checkpoint::Value(options.eps2)}});
  group.set("d", options.d);
  group.set("weight_decay", options.weight_decay);
  group.set("foreach", optional_flag(options.foreach));
  group.set("maximize", options.maximize);
  return group;
}

at::Tensor mean_square(const at::Tensor& grad, std::int64_t dim) {
  return at::linalg_vector_norm(grad, 2, {dim}, /*keepdim=*/true).square_().div_(grad.size(dim));
}

double root_mean_square(const at::Tensor& tensor) {
  const double norm = at::linalg_vector_norm(tensor, 2).item<double>();
  return norm / std::sqrt(static_cast<double>(tensor.numel()));
}

at::Tensor zeros_with_one_row_of(const at::Tensor& grad, std::int64_t dim) {
  std::vector<std::int64_t> shape = grad.sizes().vec();
  shape[shape.size() + dim] = 1;
  return grad.new_zeros(shape);
}

// What torch.finfo(dtype).eps is.
double smallest_step(at::ScalarType type) {
  switch (type) {
    case at::kDouble:
      return std::numeric_limits<double>::epsilon();
    case at::kHalf:
      return 0.0009765625;
    case at::kBFloat16:
      return 0.0078125;
    default:
      return std::numeric_limits<float>::epsilon();
  }
}

// The two regularizers; the first may be None.
std::pair<std::optional<double>, double> eps_of(const ParamGroup& group) {
  const checkpoint::Value& value = group.options.at("eps");
  const auto& items = value.is_list() ? value.as_list() : value.as_tuple().items;
  if (items.size() != 2) throw std::invalid_argument("Adafactor: 'eps' must be two values");
  const std::optional<double> first =
      items[0].is_none() ? std::nullopt : std::optional(saved_number(items[0]));
  return {first, saved_number(items[1])};
}

}  // namespace

Adafactor::Adafactor(std::vector<at::Tensor> params, const AdafactorOptions& options)
    : TorchOptimizer(std::move(params), options.lr, group_options(options),
                     {"step", "row_var", "col_var", "variance"}) {}

void Adafactor::update(const ParamGroup& group, std::vector<Item>& items) {
  const double weight_decay = number_option(group, "weight_decay");
  const double clip = number_option(group, "d");
  const bool maximize = flag_option(group, "maximize");
  const auto [first, second] = eps_of(group);
  std::optional<double> eps1 = first;
  for (Item& item : items) {
    auto& [step_count, rows, columns, variance] = *item.state;
    const bool matrix = item.grad.dim() > 1;
    if (!step_count.defined()) {
      step_count = new_step_count(group, item.param);
      if (matrix) {
        rows = zeros_with_one_row_of(item.grad, -1);
        columns = zeros_with_one_row_of(item.grad, -2);
      } else {
        variance = at::zeros_like(item.grad);
      }
    }
    const at::Tensor grad = maximize ? item.grad.neg() : item.grad;
    if (!eps1) eps1 = smallest_step(item.param.scalar_type());  // as torch: the first one's for all
    const double count = advance(step_count);
    const double weight = std::pow(count, number_option(group, "beta2_decay"));
    const double rate = std::min(group.lr, 1 / std::sqrt(count));
    const double alpha = std::max(second, root_mean_square(item.param)) * rate;
    if (weight_decay != 0) item.param.mul_(1 - group.lr * weight_decay);
    at::Tensor estimate;
    if (matrix) {
      rows.lerp_(mean_square(grad, -1), weight);
      columns.lerp_(mean_square(grad, -2), weight);
      estimate = at::matmul(rows, columns);
      estimate.div_(rows.mean(-2, /*keepdim=*/true).clamp_min_(*eps1));
    } else {
      variance.lerp_(grad.mul(grad), weight);
      estimate = variance.clone();
    }
    const at::Tensor change = estimate.clamp_min_(*eps1 * *eps1).rsqrt_().mul_(grad);
    const double excess = std::max(1.0, root_mean_square(change) / clip);
    item.param.add_(change, -alpha / excess);
  }
}

}  // namespace lctl
