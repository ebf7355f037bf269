#include "worker/trainer/optim/adagrad.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_fused_adagrad.h>
#include <ATen/ops/full_like.h>

namespace lctl {
namespace {

enum { kStep, kSum };

checkpoint::Dict group_options(const AdagradOptions& options) {
  require(options.lr_decay >= 0, "Invalid lr_decay value", options.lr_decay);
  require(options.weight_decay >= 0, "Invalid weight_decay value", options.weight_decay);
  require(options.initial_accumulator_value >= 0, "Invalid initial_accumulator_value value",
          options.initial_accumulator_value);
  require(options.eps >= 0, "Invalid epsilon value", options.eps);
  check_fused_or_foreach(options.fused, options.foreach);
  checkpoint::Dict group;
  group.set("lr_decay", number_or_zero(options.lr_decay));
  group.set("eps", options.eps);
  group.set("weight_decay", number_or_zero(options.weight_decay));
  group.set("initial_accumulator_value", number_or_zero(options.initial_accumulator_value));
  group.set("foreach", optional_flag(options.foreach));
  group.set("maximize", options.maximize);
  group.set("differentiable", false);
  group.set("fused", optional_flag(options.fused));
  return group;
}

}  // namespace

Adagrad::Adagrad(std::vector<at::Tensor> params, const AdagradOptions& options)
    : TorchOptimizer(std::move(params), options.lr, group_options(options), {"step", "sum"}) {
  for (std::size_t i = 0; i < states()[0].size(); ++i) {
    const ParamGroup& group = param_groups()[0];
    states()[0][i][kStep] = new_step_count(group, group.params[i]);
    states()[0][i][kSum] =
        at::full_like(group.params[i].detach(), options.initial_accumulator_value);
  }
}

void Adagrad::update(const ParamGroup& group, std::vector<Item>& items) {
  const double lr_decay = number_option(group, "lr_decay");
  const double weight_decay = number_option(group, "weight_decay");
  const double eps = number_option(group, "eps");
  const bool maximize = flag_option(group, "maximize");
  for (Item& item : items) {  // of groups that were added later
    State& state = *item.state;
    if (state[kStep].defined()) continue;
    state[kStep] = new_step_count(group, item.param);
    state[kSum] = at::full_like(item.param, number_option(group, "initial_accumulator_value"));
  }
  if (flag_option(group, "fused")) {
    for_each_kind(items, [&](const std::vector<Item>& kind) {
      auto& [params, grads, sums, steps, unused4, unused5] = empty_lists();
      for (const Item& item : kind) {
        params.push_back(item.param);
        grads.push_back(item.grad);
        sums.push_back((*item.state)[kSum]);
        steps.push_back((*item.state)[kStep]);
      }
      const std::optional<at::Tensor> found_inf = found_inf_on(kind.front().param.device());
      at::_foreach_add_(steps, 1);
      at::_fused_adagrad_(params, grads, sums, steps, group.lr, lr_decay, weight_decay, eps,
                          maximize, /*grad_scale=*/std::nullopt, found_inf);
      take_back(steps, found_inf);
    });
    return;
  }
  for (Item& item : items) {
    State& state = *item.state;
    const double step = advance(state[kStep]);
    at::Tensor grad = maximize ? item.grad.neg() : item.grad;
    if (weight_decay != 0) grad = grad.add(item.param, weight_decay);
    const double rate = group.lr / (1 + (step - 1) * lr_decay);
    state[kSum].addcmul_(grad, grad, 1);
    item.param.addcdiv_(grad, state[kSum].sqrt().add_(eps), -rate);
  }
}

}  // namespace lctl
