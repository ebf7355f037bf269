#include "worker/trainer/optim/rprop.h"

#include <ATen/ops/full_like.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <stdexcept>

namespace lctl {
namespace {

checkpoint::Dict group_options(const RpropOptions& options) {
  const auto [down, up] = options.etas;
  if (!(down > 0 && down < 1 && up > 1)) {
    throw std::invalid_argument(fmt::format("Invalid eta values: {}, {}", down, up));
  }
  checkpoint::Dict group;
  group.set("etas", pair_value(options.etas));
  group.set("step_sizes", pair_value(options.step_sizes));
  group.set("foreach", optional_flag(options.foreach));
  group.set("maximize", options.maximize);
  group.set("differentiable", false);
  group.set("capturable", false);
  return group;
}

}  // namespace

Rprop::Rprop(std::vector<at::Tensor> params, const RpropOptions& options)
    : TorchOptimizer(std::move(params), options.lr, group_options(options),
                     {"step", "prev", "step_size"}) {}

void Rprop::update(const ParamGroup& group, std::vector<Item>& items) {
  const auto [down, up] = pair_option(group, "etas");
  const auto [smallest, largest] = pair_option(group, "step_sizes");
  const bool maximize = flag_option(group, "maximize");
  for (Item& item : items) {
    auto& [step_count, previous, size, unused] = *item.state;
    if (!step_count.defined()) {
      step_count = new_step_count(group, item.param);
      previous = at::zeros_like(item.param);
      size = at::full_like(item.grad, group.lr);
    }
    step_count.add_(1);
    at::Tensor grad = maximize ? item.grad.neg() : item.grad.clone();
    at::Tensor factor = grad.mul(previous).sign();
    const at::Tensor turned = factor.lt(0);
    factor.masked_fill_(factor.gt(0), up).masked_fill_(turned, down).masked_fill_(factor.eq(0), 1);
    size.mul_(factor).clamp_(smallest, largest);
    grad.masked_fill_(turned, 0);  // no step where the sign has changed
    item.param.addcmul_(grad.sign(), size, -1);
    previous.copy_(grad);
  }
}

}  // namespace lctl
