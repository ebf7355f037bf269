#include "worker/trainer/optim/adadelta.h"

#include <ATen/ops/zeros_like.h>

namespace lctl {
namespace {

checkpoint::Dict group_options(const AdadeltaOptions& options) {
  require(options.rho >= 0 && options.rho <= 1, "Invalid rho value", options.rho);
  require(options.eps >= 0, "Invalid epsilon value", options.eps);
  require(options.weight_decay >= 0, "Invalid weight_decay value", options.weight_decay);
  checkpoint::Dict group;
  group.set("rho", options.rho);
  group.set("eps", options.eps);
  group.set("weight_decay", number_or_zero(options.weight_decay));
  group.set("maximize", options.maximize);
  group.set("capturable", false);
  group.set("foreach", optional_flag(options.foreach));
  group.set("differentiable", false);
  return group;
}

}  // namespace

Adadelta::Adadelta(std::vector<at::Tensor> params, const AdadeltaOptions& options)
    : TorchOptimizer(std::move(params), options.lr, group_options(options),
                     {"step", "square_avg", "acc_delta"}) {}

void Adadelta::update(const ParamGroup& group, std::vector<Item>& items) {
  const double rho = number_option(group, "rho");
  const double eps = number_option(group, "eps");
  const double weight_decay = number_option(group, "weight_decay");
  const bool maximize = flag_option(group, "maximize");
  for (Item& item : items) {
    auto& [step_count, square, accumulated, unused] = *item.state;
    if (!step_count.defined()) {
      step_count = new_step_count(group, item.param);
      square = at::zeros_like(item.param);
      accumulated = at::zeros_like(item.param);
    }
    step_count.add_(1);
    at::Tensor grad = maximize ? item.grad.neg() : item.grad;
    if (weight_decay != 0) grad = grad.add(item.param, weight_decay);
    square.mul_(rho).addcmul_(grad, grad, 1 - rho);
    const at::Tensor deviation = square.add(eps).sqrt_();
    at::Tensor delta = accumulated.add(eps).sqrt_();
    delta.div_(deviation).mul_(grad);
    accumulated.mul_(rho).addcmul_(delta, delta, 1 - rho);
    item.param.add_(delta, -group.lr);
  }
}

}  // namespace lctl
