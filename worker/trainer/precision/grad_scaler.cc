#include "worker/trainer/precision/grad_scaler.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/_amp_update_scale.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <stdexcept>
#include <vector>

#include "worker/trainer/optim/optimizer.h"
#include "worker/trainer/optim/skips_non_finite.h"

namespace lctl {

GradScaler::GradScaler(c10::Device device) {
  const auto options = at::TensorOptions().device(device);
  scale_ = at::full({}, 65536.0, options.dtype(at::kFloat));
  growth_tracker_ = at::zeros({}, options.dtype(at::kInt));
  found_inf_ = at::zeros({}, options.dtype(at::kFloat));
}

at::Tensor GradScaler::scale(const at::Tensor& loss) const { return loss.mul(scale_); }

void GradScaler::unscale(Optimizer& optimizer) {
  const at::NoGradGuard no_grad;
  // The kernel takes gradients of one type at a time.
  std::vector<std::vector<at::Tensor>> kinds;
  for (const ParamGroup& group : optimizer.param_groups()) {
    for (const at::Tensor& parameter : group.params) {
      const at::Tensor& gradient = parameter.grad();
      if (!gradient.defined()) continue;
      if (gradient.scalar_type() == at::kHalf) {
        throw std::invalid_argument(
            "Attempting to unscale FP16 gradients. precision 16-mixed keeps float32 weights; do "
            "not convert the module to half, or use 16-true");
      }
      std::vector<at::Tensor>* kind = nullptr;
      for (auto& other : kinds) {
        if (other.front().scalar_type() == gradient.scalar_type()) kind = &other;
      }
      if (kind == nullptr) kind = &kinds.emplace_back();
      kind->push_back(gradient);
    }
  }
  const at::Tensor inverse = scale_.to(at::kDouble).reciprocal().to(at::kFloat);
  found_inf_.zero_();
  for (std::vector<at::Tensor>& gradients : kinds) {
    at::_amp_foreach_non_finite_check_and_unscale_(gradients, found_inf_, inverse);
  }
}

void GradScaler::step(Optimizer& optimizer) {
  auto* fused = dynamic_cast<SkipsNonFinite*>(&optimizer);
  if (fused != nullptr && fused->can_skip_non_finite()) {
    fused->step_unless(found_inf_);
  } else if (found_inf_.item<float>() == 0) {
    optimizer.step();
  }
}

void GradScaler::update() {
  at::_amp_update_scale_(scale_, growth_tracker_, found_inf_, growth_factor_, backoff_factor_,
                         growth_interval_);
}

checkpoint::Dict GradScaler::state_dict() const {
  checkpoint::Dict state;
  state.set("scale", scale_.item().toDouble());
  state.set("growth_factor", growth_factor_);
  state.set("backoff_factor", backoff_factor_);
  state.set("growth_interval", growth_interval_);
  state.set("_growth_tracker", growth_tracker_.item().toLong());
  return state;
}

void GradScaler::load_state_dict(const checkpoint::Dict& state) {
  scale_.fill_(state.at("scale").as_double());
  growth_factor_ = state.at("growth_factor").as_double();
  backoff_factor_ = state.at("backoff_factor").as_double();
  growth_interval_ = state.at("growth_interval").as_int();
  growth_tracker_.fill_(state.at("_growth_tracker").as_int());
}

}  // namespace lctl
