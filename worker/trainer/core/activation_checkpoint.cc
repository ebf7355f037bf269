#include "worker/trainer/core/activation_checkpoint.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace lctl {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// Where the generators stood, and in which autocast: of the CPU and of the input's device.
struct Surroundings {
  explicit Surroundings(c10::Device device) : device(device) {
    for (const c10::Device owner : owners()) {
      at::Generator generator = at::globalContext().defaultGenerator(owner);
      const std::lock_guard lock(generator.mutex());
      generators.push_back(generator.get_state());
    }
    autocast = at::autocast::is_autocast_enabled(device.type());
    autocast_type = at::autocast::get_autocast_dtype(device.type());
    cache = at::autocast::is_autocast_cache_enabled();
  }

  void restore() const {
    std::size_t at = 0;
    for (const c10::Device owner : owners()) {
      at::Generator generator = at::globalContext().defaultGenerator(owner);
      const std::lock_guard lock(generator.mutex());
      generator.set_state(generators[at++]);
    }
    at::autocast::set_autocast_enabled(device.type(), autocast);
    at::autocast::set_autocast_dtype(device.type(), autocast_type);
    at::autocast::set_autocast_cache_enabled(cache);
  }

  std::vector<c10::Device> owners() const {
    const c10::Device cpu(c10::DeviceType::CPU);
    if (device.is_cpu()) return {cpu};
    return {cpu, device};
  }

  c10::Device device;
  std::vector<at::Tensor> generators;
  bool autocast = false;
  at::ScalarType autocast_type = at::kFloat;
  bool cache = true;
};

// The function and its surroundings, from forward to backward.
struct Recomputed : torch::CustomClassHolder {
  Recomputed(std::function<at::Tensor(const at::Tensor&)> f, c10::Device device)
      : function(std::move(f)), before(device) {}
  std::function<at::Tensor(const at::Tensor&)> function;
  Surroundings before;
};

class Checkpoint : public torch::autograd::Function<Checkpoint> {
 public:
  // `anchor` requires a gradient, so that there is a backward pass even when `input` does not.
  static Variable forward(AutogradContext* context, const Variable& input,
                          const Variable& /*anchor*/,
                          const c10::intrusive_ptr<Recomputed>& recomputed) {
    context->save_for_backward({input});
    context->saved_data["recomputed"] = c10::IValue::make_capsule(recomputed);
    const at::NoGradGuard no_grad;
    return recomputed->function(input);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const Variable saved = context->get_saved_variables()[0];
    const auto capsule = context->saved_data["recomputed"].toCapsule();
    const auto& recomputed = static_cast<const Recomputed&>(*capsule);
    const Surroundings now(recomputed.before.device);
    const at::AutoGradMode enable_grad(true);
    const bool wanted = saved.requires_grad();
    Variable input = saved.detach().set_requires_grad(wanted);
    recomputed.before.restore();
    Variable output;
    try {
      output = recomputed.function(input);
    } catch (...) {
      now.restore();
      throw;
    }
    now.restore();
    if (output.requires_grad()) torch::autograd::backward({output}, {gradients[0]});
    return {wanted ? input.grad() : Variable(), Variable(), Variable()};
  }
};

}  // namespace

at::Tensor activation_checkpoint(std::function<at::Tensor(const at::Tensor&)> function,
                                 const at::Tensor& input) {
  if (!at::GradMode::is_enabled()) return function(input);
  const at::Tensor anchor = at::empty({0}, at::kFloat).set_requires_grad(true);
  return Checkpoint::apply(input, anchor,
                           c10::make_intrusive<Recomputed>(std::move(function), input.device()));
}

}  // namespace lctl
