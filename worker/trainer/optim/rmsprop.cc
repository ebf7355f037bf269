#include "worker/trainer/optim/rmsprop.h"

#include <ATen/ops/zeros_like.h>

namespace lctl {
namespace {

enum { kStep, kSquareAvg, kMomentumBuffer, kGradAvg };

checkpoint::Dict group_options(const RmspropOptions& options) {
  require(options.eps >= 0, "Invalid epsilon value", options.eps);
  require(options.momentum >= 0, "Invalid momentum value", options.momentum);
  require(options.weight_decay >= 0, "Invalid weight_decay value", options.weight_decay);
  require(options.alpha >= 0, "Invalid alpha value", options.alpha);
  checkpoint::Dict group;
  group.set("momentum", number_or_zero(options.momentum));
  group.set("alpha", options.alpha);
  group.set("eps", options.eps);
  group.set("centered", options.centered);
  group.set("weight_decay", number_or_zero(options.weight_decay));
  group.set("capturable", options.capturable);
  group.set("foreach", optional_flag(options.foreach));
  group.set("maximize", options.maximize);
  group.set("differentiable", false);
  return group;
}

}  // namespace

RMSprop::RMSprop(std::vector<at::Tensor> params, const RmspropOptions& options)
    : TorchOptimizer(std::move(params), options.lr, group_options(options),
                     {"step", "square_avg", "momentum_buffer", "grad_avg"}) {}

void RMSprop::update(const ParamGroup& group, std::vector<Item>& items) {
  const double alpha = number_option(group, "alpha");
  const double eps = number_option(group, "eps");
  const double momentum = number_option(group, "momentum");
  const double weight_decay = number_option(group, "weight_decay");
  const bool centered = flag_option(group, "centered");
  const bool maximize = flag_option(group, "maximize");
  for (Item& item : items) {
    State& state = *item.state;
    if (!state[kStep].defined()) {
      state[kStep] = new_step_count(group, item.param);
      state[kSquareAvg] = at::zeros_like(item.param);
    }
    if (momentum > 0 && !state[kMomentumBuffer].defined())
      state[kMomentumBuffer] = at::zeros_like(item.param);
    if (centered && !state[kGradAvg].defined()) state[kGradAvg] = at::zeros_like(item.param);

    at::Tensor grad = maximize ? item.grad.neg() : item.grad;
    state[kStep].add_(1);
    if (weight_decay != 0) grad = grad.add(item.param, weight_decay);
    state[kSquareAvg].mul_(alpha).addcmul_(grad, grad, 1 - alpha);
    at::Tensor average;
    if (centered) {
      state[kGradAvg].lerp_(grad, 1 - alpha);
      average = state[kSquareAvg].addcmul(state[kGradAvg], state[kGradAvg], -1).sqrt_();
    } else {
      average = state[kSquareAvg].sqrt();
    }
    average.add_(eps);
    if (momentum > 0) {
      state[kMomentumBuffer].mul_(momentum).addcdiv_(grad, average);
      item.param.add_(state[kMomentumBuffer], -group.lr);
    } else {
      item.param.addcdiv_(grad, average, -group.lr);
    }
  }
}

}  // namespace lctl
