#include "worker/trainer/optim/adam.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

namespace lctl {
namespace {

enum { kStep, kExpAvg, kExpAvgSq, kMaxExpAvgSq };

checkpoint::Dict group_options(const AdamOptions& options) {
  require(options.eps >= 0, "Invalid epsilon value", options.eps);
  const auto [beta1, beta2] = options.betas;
  require(beta1 >= 0 && beta1 < 1, "Invalid beta parameter at index 0", beta1);
  require(beta2 >= 0 && beta2 < 1, "Invalid beta parameter at index 1", beta2);
  require(options.weight_decay >= 0, "Invalid weight_decay value", options.weight_decay);
  check_fused_or_foreach(options.fused, options.foreach);
  checkpoint::Dict group;
  group.set("betas", pair_value(options.betas));
  group.set("eps", options.eps);
  group.set("weight_decay", number_or_zero(options.weight_decay));
  group.set("amsgrad", options.amsgrad);
  group.set("maximize", options.maximize);
  group.set("foreach", optional_flag(options.foreach));
  group.set("capturable", options.capturable);
  group.set("differentiable", false);
  group.set("fused", optional_flag(options.fused));
  group.set("decoupled_weight_decay", options.decoupled_weight_decay);
  return group;
}

}  // namespace

struct Adam::Rates {
  double lr;
  double beta1;
  double beta2;
  double eps;
  double weight_decay;
  bool decoupled;
  bool amsgrad;
  bool maximize;
};

Adam::Adam(std::vector<at::Tensor> params, const AdamOptions& options, std::string name)
    : TorchOptimizer(std::move(params), options.lr, group_options(options),
                     {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"}),
      name_(std::move(name)) {}

void Adam::update(const ParamGroup& group, std::vector<Item>& items) {
  const auto [beta1, beta2] = pair_option(group, "betas");
  const Rates rates{.lr = group.lr,
                    .beta1 = beta1,
                    .beta2 = beta2,
                    .eps = number_option(group, "eps"),
                    .weight_decay = number_option(group, "weight_decay"),
                    .decoupled = flag_option(group, "decoupled_weight_decay"),
                    .amsgrad = flag_option(group, "amsgrad"),
                    .maximize = flag_option(group, "maximize")};
  for (Item& item : items) {
    State& state = *item.state;
    if (!state[kStep].defined()) {
      state[kStep] = new_step_count(group, item.param);
      state[kExpAvg] = at::zeros_like(item.param);
      state[kExpAvgSq] = at::zeros_like(item.param);
    }
    if (rates.amsgrad && !state[kMaxExpAvgSq].defined())
      state[kMaxExpAvgSq] = at::zeros_like(item.param);
  }
  if (flag_option(group, "fused")) {
    for_each_kind(items, [&](const std::vector<Item>& kind) { update_fused(rates, kind); });
  } else {
    for (Item& item : items) update_one(rates, item);
  }
}

void Adam::update_fused(const Rates& rates, const std::vector<Item>& items) {
  auto& [params, grads, averages, squares, maxima, steps] = empty_lists();
  for (const Item& item : items) {
    const State& state = *item.state;
    params.push_back(item.param);
    grads.push_back(item.grad);
    averages.push_back(state[kExpAvg]);
    squares.push_back(state[kExpAvgSq]);
    if (rates.amsgrad) maxima.push_back(state[kMaxExpAvgSq]);
    steps.push_back(state[kStep]);
  }
  const std::optional<at::Tensor> found_inf = found_inf_on(items.front().param.device());
  at::_foreach_add_(steps, 1);
  if (rates.decoupled) {
    at::_fused_adamw_(params, grads, averages, squares, maxima, steps, rates.lr, rates.beta1,
                      rates.beta2, rates.weight_decay, rates.eps, rates.amsgrad, rates.maximize,
                      /*grad_scale=*/std::nullopt, found_inf);
  } else {
    at::_fused_adam_(params, grads, averages, squares, maxima, steps, rates.lr, rates.beta1,
                     rates.beta2, rates.weight_decay, rates.eps, rates.amsgrad, rates.maximize,
                     /*grad_scale=*/std::nullopt, found_inf);
  }
  take_back(steps, found_inf);
}

// The order of the operations decides the last bits; it is that of torch's loop over parameters.
void Adam::update_one(const Rates& rates, Item& item) {
  State& state = *item.state;
  at::Tensor grad = rates.maximize ? item.grad.neg() : item.grad;
  const double step = advance(state[kStep]);
  if (rates.weight_decay != 0) {
    if (rates.decoupled) {
      item.param.mul_(1 - rates.lr * rates.weight_decay);
    } else {
      grad = grad.add(item.param, rates.weight_decay);
    }
  }
  state[kExpAvg].lerp_(grad, 1 - rates.beta1);
  state[kExpAvgSq].mul_(rates.beta2).addcmul_(grad, grad, 1 - rates.beta2);
  const double step_size = rates.lr / (1 - std::pow(rates.beta1, step));
  const double correction = std::pow(1 - std::pow(rates.beta2, step), 0.5);
  if (rates.amsgrad) at::maximum_out(state[kMaxExpAvgSq], state[kMaxExpAvgSq], state[kExpAvgSq]);
  const at::Tensor& square = rates.amsgrad ? state[kMaxExpAvgSq] : state[kExpAvgSq];
  const at::Tensor denominator = square.sqrt().div(correction).add_(rates.eps);
  item.param.addcdiv_(state[kExpAvg], denominator, -step_size);
}

std::unique_ptr<Adam> adam_w(std::vector<at::Tensor> params, AdamOptions options) {
  options.decoupled_weight_decay = true;
  return std::make_unique<Adam>(std::move(params), options, "AdamW");
}

}  // namespace lctl
