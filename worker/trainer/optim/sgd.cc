#include "worker/trainer/optim/sgd.h"

#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <stdexcept>

namespace lctl {
namespace {

enum { kMomentumBuffer };

checkpoint::Dict group_options(const SgdOptions& options) {
  require(options.momentum >= 0, "Invalid momentum value", options.momentum);
  require(options.weight_decay >= 0, "Invalid weight_decay value", options.weight_decay);
  if (options.nesterov && (options.momentum <= 0 || options.dampening != 0)) {
    throw std::invalid_argument("Nesterov momentum requires a momentum and zero dampening");
  }
  check_fused_or_foreach(options.fused, options.foreach);
  checkpoint::Dict group;
  group.set("momentum", number_or_zero(options.momentum));
  group.set("dampening", number_or_zero(options.dampening));
  group.set("weight_decay", number_or_zero(options.weight_decay));
  group.set("nesterov", options.nesterov);
  group.set("maximize", options.maximize);
  group.set("foreach", optional_flag(options.foreach));
  group.set("differentiable", false);
  group.set("fused", optional_flag(options.fused));
  return group;
}

}  // namespace

struct SGD::Rates {
  double lr;
  double momentum;
  double dampening;
  double weight_decay;
  bool nesterov;
  bool maximize;
};

SGD::SGD(std::vector<at::Tensor> params, const SgdOptions& options)
    : TorchOptimizer(std::move(params), options.lr, group_options(options), {"momentum_buffer"}) {}

void SGD::update(const ParamGroup& group, std::vector<Item>& items) {
  const Rates rates{.lr = group.lr,
                    .momentum = number_option(group, "momentum"),
                    .dampening = number_option(group, "dampening"),
                    .weight_decay = number_option(group, "weight_decay"),
                    .nesterov = flag_option(group, "nesterov"),
                    .maximize = flag_option(group, "maximize")};
  if (!flag_option(group, "fused")) {
    for (Item& item : items) update_one(rates, item);
    return;
  }
  for_each_kind(items, [&](const std::vector<Item>& kind) {
    // Parameters whose first gradient this is have no momentum yet.
    const auto is_fresh = [&rates](const Item& item) {
      return rates.momentum != 0 && !(*item.state)[kMomentumBuffer].defined();
    };
    if (std::none_of(kind.begin(), kind.end(), is_fresh)) return update_fused(rates, kind, false);
    std::vector<Item> fresh;
    std::vector<Item> known;
    for (const Item& item : kind) (is_fresh(item) ? fresh : known).push_back(item);
    update_fused(rates, fresh, true);
    if (!known.empty()) update_fused(rates, known, false);
  });
}

void SGD::update_fused(const Rates& rates, const std::vector<Item>& items, bool first) {
  const std::optional<at::Tensor> found_inf = found_inf_on(items.front().param.device());
  // A first step that is left out must stay a first step. Without dampening it does by itself: a
  // buffer of zeros gives the gradient again. With dampening somebody has to wait and see.
  if (first && found_inf && rates.dampening != 0 && found_inf->item<float>() != 0) return;
  auto& [params, grads, buffers, unused3, unused4, unused5] = empty_lists();
  for (const Item& item : items) {
    params.push_back(item.param);
    grads.push_back(item.grad);
    if (rates.momentum == 0) continue;
    at::Tensor& buffer = (*item.state)[kMomentumBuffer];
    // The kernel fills it, unless it leaves the step out.
    if (first) buffer = found_inf ? at::zeros_like(item.grad) : at::empty_like(item.grad);
    buffers.push_back(buffer);
  }
  at::_fused_sgd_(params, grads, buffers, rates.weight_decay, rates.momentum, rates.lr,
                  rates.dampening, rates.nesterov, rates.maximize, first,
                  /*grad_scale=*/std::nullopt, found_inf);
}

// The order of the operations decides the last bits; it is that of torch's loop over parameters.
void SGD::update_one(const Rates& rates, Item& item) {
  at::Tensor grad = rates.maximize ? item.grad.neg() : item.grad;
  if (rates.weight_decay != 0) grad = grad.add(item.param, rates.weight_decay);
  if (rates.momentum != 0) {
    at::Tensor& buffer = (*item.state)[kMomentumBuffer];
    if (buffer.defined()) {
      buffer.mul_(rates.momentum).add_(grad, 1 - rates.dampening);
    } else {
      buffer = grad.detach().clone();
    }
    grad = rates.nesterov ? grad.add(buffer, rates.momentum) : buffer;
  }
  item.param.add_(grad, -rates.lr);
}

}  // namespace lctl
