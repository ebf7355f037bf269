#include "worker/trainer/optim/asgd.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

namespace lctl {
namespace {

checkpoint::Dict group_options(const AsgdOptions& options) {
  require(options.weight_decay >= 0, "Invalid weight_decay value", options.weight_decay);
  checkpoint::Dict group;
  group.set("lambd", options.lambd);
  group.set("alpha", options.alpha);
  group.set("t0", options.t0);
  group.set("weight_decay", number_or_zero(options.weight_decay));
  group.set("foreach", optional_flag(options.foreach));
  group.set("maximize", options.maximize);
  group.set("differentiable", false);
  group.set("capturable", false);
  return group;
}

}  // namespace

ASGD::ASGD(std::vector<at::Tensor> params, const AsgdOptions& options)
    : TorchOptimizer(std::move(params), options.lr, group_options(options),
                     {"step", "eta", "mu", "ax"}) {}

void ASGD::update(const ParamGroup& group, std::vector<Item>& items) {
  const double lambd = number_option(group, "lambd");
  const double alpha = number_option(group, "alpha");
  const double t0 = number_option(group, "t0");
  const double weight_decay = number_option(group, "weight_decay");
  const bool maximize = flag_option(group, "maximize");
  for (Item& item : items) {
    auto& [step_count, eta, mu, average] = *item.state;
    if (!step_count.defined()) {
      const auto beside = at::TensorOptions().dtype(at::kFloat).device(item.param.device());
      step_count = at::zeros({}, beside);
      eta = at::full({}, group.lr, beside);
      mu = at::ones({}, beside);
      average = at::zeros_like(item.param);
    }
    const double step = advance(step_count);
    at::Tensor grad = maximize ? item.grad.neg() : item.grad;
    if (weight_decay != 0) grad = grad.add(item.param, weight_decay);
    const auto rate = eta.item<double>();
    item.param.mul_(1 - lambd * rate);
    item.param.add_(grad, -rate);
    if (mu.item<double>() != 1) {
      average.add_(item.param.sub(average).mul_(mu));
    } else {
      average.copy_(item.param);
    }
    eta.fill_(group.lr / std::pow(1 + lambd * group.lr * step, alpha));
    mu.fill_(1 / std::max(1.0, step - t0));
  }
}

}  // namespace lctl
