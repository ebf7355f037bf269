#include "worker/trainer/optim/adam_variants.h"

#include <ATen/ops/maximum.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

namespace lctl {
namespace {

using checkpoint::Dict;

void check(const AdamVariantOptions& options) {
  require(options.eps >= 0, "Invalid epsilon value", options.eps);
  const auto [beta1, beta2] = options.betas;
  require(beta1 >= 0 && beta1 < 1, "Invalid beta parameter at index 0", beta1);
  require(beta2 >= 0 && beta2 < 1, "Invalid beta parameter at index 1", beta2);
  require(options.weight_decay >= 0, "Invalid weight_decay value", options.weight_decay);
  require(options.momentum_decay >= 0, "Invalid momentum_decay value", options.momentum_decay);
}

// The first entries of all three groups.
Dict common_options(const AdamVariantOptions& options) {
  check(options);
  Dict group;
  group.set("betas", pair_value(options.betas));
  group.set("eps", options.eps);
  group.set("weight_decay", number_or_zero(options.weight_decay));
  return group;
}

Dict adamax_options(const AdamVariantOptions& options) {
  Dict group = common_options(options);
  group.set("foreach", optional_flag(options.foreach));
  group.set("maximize", options.maximize);
  group.set("differentiable", false);
  group.set("capturable", false);
  return group;
}

Dict nadam_options(const AdamVariantOptions& options) {
  Dict group = common_options(options);
  group.set("momentum_decay", options.momentum_decay);
  group.set("decoupled_weight_decay", options.decoupled_weight_decay);
  group.set("maximize", options.maximize);
  group.set("foreach", optional_flag(options.foreach));
  group.set("capturable", false);
  group.set("differentiable", false);
  return group;
}

Dict radam_options(const AdamVariantOptions& options) {
  Dict group = common_options(options);
  group.set("maximize", options.maximize);
  group.set("foreach", optional_flag(options.foreach));
  group.set("capturable", false);
  group.set("decoupled_weight_decay", options.decoupled_weight_decay);
  group.set("differentiable", false);
  return group;
}

// The gradient with its sign and weight decay; decoupled decay changes the parameter instead.
at::Tensor effective_gradient(const ParamGroup& group, at::Tensor param, const at::Tensor& given) {
  at::Tensor grad = flag_option(group, "maximize") ? given.neg() : given;
  const double decay = number_option(group, "weight_decay");
  if (decay == 0) return grad;
  if (flag_option(group, "decoupled_weight_decay")) {
    param.mul_(1 - group.lr * decay);
    return grad;
  }
  return grad.add(param, decay);
}

}  // namespace

Adamax::Adamax(std::vector<at::Tensor> params, const AdamVariantOptions& options)
    : TorchOptimizer(std::move(params), options.lr, adamax_options(options),
                     {"step", "exp_avg", "exp_inf"}) {}

void Adamax::update(const ParamGroup& group, std::vector<Item>& items) {
  const auto [beta1, beta2] = pair_option(group, "betas");
  const double eps = number_option(group, "eps");
  for (Item& item : items) {
    auto& [step_count, average, norm, unused] = *item.state;
    if (!step_count.defined()) {
      step_count = new_step_count(group, item.param);
      average = at::zeros_like(item.param);
      norm = at::zeros_like(item.param);
    }
    const double step = advance(step_count);
    const at::Tensor grad = effective_gradient(group, item.param, item.grad);
    average.lerp_(grad, 1 - beta1);
    norm.mul_(beta2);
    at::maximum_out(norm, norm, grad.abs().add_(eps));
    const double rate = group.lr / (1 - std::pow(beta1, step));
    item.param.addcdiv_(average, norm, -rate);
  }
}

NAdam::NAdam(std::vector<at::Tensor> params, const AdamVariantOptions& options)
    : TorchOptimizer(std::move(params), options.lr, nadam_options(options),
                     {"step", "mu_product", "exp_avg", "exp_avg_sq"}) {}

void NAdam::update(const ParamGroup& group, std::vector<Item>& items) {
  const auto [beta1, beta2] = pair_option(group, "betas");
  const double eps = number_option(group, "eps");
  const double momentum_decay = number_option(group, "momentum_decay");
  for (Item& item : items) {
    auto& [step_count, mu_product, average, square] = *item.state;
    if (!step_count.defined()) {
      step_count = new_step_count(group, item.param);
      mu_product = at::ones({}, at::kFloat);
      average = at::zeros_like(item.param);
      square = at::zeros_like(item.param);
    }
    const double step = advance(step_count);
    const at::Tensor grad = effective_gradient(group, item.param, item.grad);
    const double mu = beta1 * (1.0 - 0.5 * std::pow(0.96, step * momentum_decay));
    const double mu_next = beta1 * (1.0 - 0.5 * std::pow(0.96, (step + 1) * momentum_decay));
    mu_product.mul_(mu);
    average.lerp_(grad, 1 - beta1);
    square.mul_(beta2).addcmul_(grad, grad, 1 - beta2);
    const at::Tensor denominator = square.div(1 - std::pow(beta2, step)).sqrt().add_(eps);
    const auto product = mu_product.item<double>();
    item.param.addcdiv_(grad, denominator, -group.lr * (1.0 - mu) / (1.0 - product));
    item.param.addcdiv_(average, denominator, (-group.lr * mu_next) / (1.0 - product * mu_next));
  }
}

RAdam::RAdam(std::vector<at::Tensor> params, const AdamVariantOptions& options)
    : TorchOptimizer(std::move(params), options.lr, radam_options(options),
                     {"step", "exp_avg", "exp_avg_sq"}) {}

void RAdam::update(const ParamGroup& group, std::vector<Item>& items) {
  const auto [beta1, beta2] = pair_option(group, "betas");
  const double eps = number_option(group, "eps");
  const double longest = 2 / (1 - beta2) - 1;
  for (Item& item : items) {
    auto& [step_count, average, square, unused] = *item.state;
    if (!step_count.defined()) {
      step_count = new_step_count(group, item.param);
      average = at::zeros_like(item.param);
      square = at::zeros_like(item.param);
    }
    const double step = advance(step_count);
    const at::Tensor grad = effective_gradient(group, item.param, item.grad);
    average.lerp_(grad, 1 - beta1);
    square.mul_(beta2).addcmul_(grad, grad, 1 - beta2);
    const double correction2 = 1 - std::pow(beta2, step);
    at::Tensor update = average.div(1 - std::pow(beta1, step)).mul(group.lr);
    // The effective length of the moving average; below 5 its variance is unknown.
    const double length = longest - 2 * step * std::pow(beta2, step) / correction2;
    if (length > 5.0) {
      const double rectification = std::pow(
          (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length), 0.5);
      const at::Tensor adaptive =
          square.sqrt().add_(eps).reciprocal().mul(std::pow(correction2, 0.5));
      update = update.mul(adaptive).mul(rectification);
    }
    item.param.add_(update, -1.0);
  }
}

}  // namespace lctl
