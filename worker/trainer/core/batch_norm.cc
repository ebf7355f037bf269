#include "worker/trainer/core/batch_norm.h"

#include <ATen/OpMathType.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>
#include <vector>

#include "worker/trainer/strategies/strategy.h"

namespace lctl {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kStrategy = "strategy";

// All dimensions but the channels'.
std::vector<std::int64_t> reduced_dimensions(const at::Tensor& input) {
  std::vector<std::int64_t> dimensions{0};
  for (std::int64_t i = 2; i < input.dim(); ++i) dimensions.push_back(i);
  return dimensions;
}

// One value a channel, shaped to broadcast over `input`.
at::Tensor per_channel(const at::Tensor& values, const at::Tensor& input) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(input.dim()), 1);
  shape[1] = input.size(1);
  return values.view(shape);
}

// The batch of all ranks: what each saw is gathered as mean, sum of squared deviations and count,
// and joined by Chan's formula (Chan, Golub, LeVeque 1983), exact for unequal counts and for a rank
// that saw nothing.
struct CommonBatch {
  at::Tensor mean;        // [channels]
  at::Tensor deviations;  // [channels]: squared, summed
  at::Tensor count;       // no dimension
};

CommonBatch common_batch(const at::Tensor& input, Strategy& strategy) {
  const std::int64_t channels = input.size(1);
  at::Tensor mean;
  at::Tensor deviations;
  if (input.numel() > 0) {
    const std::vector<std::int64_t> dimensions = reduced_dimensions(input);
    mean = input.mean(dimensions);
    deviations = input.sub(per_channel(mean, input)).square().sum(dimensions);
  } else {
    mean = at::zeros({channels}, input.options());
    deviations = at::zeros({channels}, input.options());
  }
  const double own_count = static_cast<double>(input.numel() / channels);
  const at::Tensor own = at::cat({mean, deviations, at::full({1}, own_count, mean.options())});
  const at::Tensor all = strategy.all_gather(own);  // [ranks, 2 * channels + 1]
  const at::Tensor means = all.narrow(1, 0, channels);
  const at::Tensor counts = all.narrow(1, 2 * channels, 1);
  CommonBatch common;
  common.count = counts.sum();
  common.mean = means.mul(counts).sum(0).div(common.count);
  common.deviations =
      means.sub(common.mean).square().mul(counts).add(all.narrow(1, channels, channels)).sum(0);
  return common;
}

void move_towards(at::Tensor running, const at::Tensor& value, double factor) {
  running.mul_(1 - factor).add_(value.to(running.scalar_type()), factor);
}

// Source of both formulas: Ioffe and Szegedy, "Batch Normalization" (2015); torch.nn.SyncBatchNorm.
struct SyncBatchNormFunction : torch::autograd::Function<SyncBatchNormFunction> {
  // Absent tensors are empty optionals: autograd takes no undefined ones.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const std::optional<at::Tensor>& weight,
                            const std::optional<at::Tensor>& bias,
                            const std::optional<at::Tensor>& running_mean,
                            const std::optional<at::Tensor>& running_var, double eps, double factor,
                            Strategy* strategy) {
    const at::Tensor x = input.to(at::toOpMathType(input.scalar_type()));
    const CommonBatch common = common_batch(x, *strategy);
    if (running_mean) {
      move_towards(*running_mean, common.mean, factor);
      move_towards(*running_var, common.deviations.div(common.count.sub(1)), factor);
    }
    const at::Tensor inverse = common.deviations.div(common.count).add(eps).rsqrt();
    context->save_for_backward(
        {input, weight.value_or(at::Tensor()), common.mean, inverse, common.count});
    context->saved_data[kStrategy] = reinterpret_cast<std::int64_t>(strategy);
    at::Tensor output = x.sub(per_channel(common.mean, x)).mul(per_channel(inverse, x));
    if (weight) output = output.mul(per_channel(*weight, x));
    if (bias) output = output.add(per_channel(*bias, x));
    return output.to(input.scalar_type());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& input = saved[0];
    const at::Tensor& weight = saved[1];
    const at::Tensor& inverse = saved[3];
    const at::ScalarType type = at::toOpMathType(input.scalar_type());
    const std::vector<std::int64_t> dimensions = reduced_dimensions(input);
    const at::Tensor gradient = gradients[0].to(type);
    const at::Tensor centred = input.to(type).sub(per_channel(saved[2], input));
    const at::Tensor sum = gradient.sum(dimensions);
    const at::Tensor product = gradient.mul(centred).sum(dimensions);
    variable_list results(8);
    if (weight.defined()) {  // averaged over ranks like all gradients
      results[1] = product.mul(inverse).to(weight.scalar_type());
      results[2] = sum.to(weight.scalar_type());
    }
    if (!context->needs_input_grad(0)) return results;
    auto& strategy = *reinterpret_cast<Strategy*>(context->saved_data[kStrategy].toInt());
    const at::Tensor common =
        strategy.reduce(at::cat({sum, product}), Reduction::kSum).div(saved[4]);
    const std::int64_t channels = input.size(1);
    const at::Tensor slope = common.narrow(0, channels, channels).mul(inverse.square());
    at::Tensor result = gradient.sub(per_channel(common.narrow(0, 0, channels), input))
                            .sub(centred.mul(per_channel(slope, input)))
                            .mul(per_channel(inverse, input));
    if (weight.defined()) result = result.mul(per_channel(weight, input));
    results[0] = result.to(input.scalar_type());
    return results;
  }
};

}  // namespace

at::Tensor sync_batch_norm(const at::Tensor& input, const at::Tensor& weight,
                           const at::Tensor& bias, const at::Tensor& running_mean,
                           const at::Tensor& running_var, double eps, double factor,
                           Strategy& strategy) {
  const auto present = [](const at::Tensor& tensor) {
    return tensor.defined() ? std::optional(tensor) : std::nullopt;
  };
  return SyncBatchNormFunction::apply(input, present(weight), present(bias), present(running_mean),
                                      present(running_var), eps, factor, &strategy);
}

}  // namespace lctl
