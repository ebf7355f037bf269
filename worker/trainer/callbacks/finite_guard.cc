#include "worker/trainer/callbacks/finite_guard.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

#include "worker/trainer/callbacks/layer_paths.h"
#include "worker/trainer/callbacks/tensor_digest.h"
#include "worker/trainer/core/class_name.h"
#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/forward_observer.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {
namespace {

constexpr std::size_t kNamesShown = 3;
constexpr char kScaled[] = "16-mixed";

bool all_finite(const at::Tensor& tensor) {
  return !tensor.defined() || !tensor.is_floating_point() ||
         at::isfinite(tensor).all().item<bool>();
}

// The first module whose output is not finite although its input is.
class FirstNonFinite final : public ForwardObserver {
 public:
  void entered(const torch::nn::Module&) override {}
  void left(const torch::nn::Module& module, const Batch& input, const Batch& output) override {
    if (module_ != nullptr || finite(output)) return;
    module_ = &module;
    input_was_finite_ = finite(input);
  }
  bool looks_inside_layers() const override { return false; }

  const torch::nn::Module* module() const { return module_; }
  bool input_was_finite() const { return input_was_finite_; }

 private:
  static bool finite(const Batch& values) {
    bool all = true;
    values.visit([&all](const at::Tensor& tensor) { all = all && all_finite(tensor); });
    return all;
  }

  const torch::nn::Module* module_ = nullptr;
  bool input_was_finite_ = true;
};

// "layers.1 (BatchNorm1d)"
std::string name_of(TrainableModule& model, const torch::nn::Module& layer) {
  const auto* tree = dynamic_cast<const torch::nn::Module*>(&model);
  if (tree == nullptr) return class_name_of(typeid(layer));
  const auto paths = layer_paths(*tree);
  const auto path = paths.find(&layer);
  const std::string type = class_name_of(typeid(layer));
  return path == paths.end() ? type : fmt::format("'{}' ({})", path->second, type);
}

std::string describe_gradients(const std::vector<NamedTensor>& parameters) {
  std::vector<std::string> names;
  for (const NamedTensor& parameter : parameters) {
    if (!all_finite(parameter.tensor.grad())) names.push_back(parameter.name);
  }
  if (names.empty()) return "all gradients are finite";
  const std::size_t shown = std::min(names.size(), kNamesShown);
  return fmt::format(
      "gradients that are not: of {} of {} parameters, the first '{}'", names.size(),
      parameters.size(),
      fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), "', '"));
}

}  // namespace

FiniteGuard::FiniteGuard(FiniteGuardOptions options) : options_(options) {
  if (options_.max_skipped < 0) {
    throw MisconfigurationException(fmt::format(
        "FiniteGuard: max_skipped={}: expected the number of steps in a row that may be skipped, 0 "
        "or more",
        options_.max_skipped));
  }
  if (options_.max_roll_backs < 0) {
    throw MisconfigurationException(
        fmt::format("FiniteGuard: max_roll_backs={}: expected 0 or more", options_.max_roll_backs));
  }
}

checkpoint::Dict FiniteGuard::state_dict() {
  checkpoint::Dict state;
  state.set("skipped", skipped_);
  state.set("in_a_row", in_a_row_);
  return state;
}

void FiniteGuard::load_state_dict(const checkpoint::Dict& state) {
  skipped_ = state.at("skipped").as_int();
  in_a_row_ = state.at("in_a_row").as_int();
}

void FiniteGuard::on_train_batch_start(Trainer& trainer, TrainableModule& /*module*/,
                                       const Batch& batch, std::int64_t batch_idx) {
  point_.begin_batch(trainer.current_epoch(), batch_idx, trainer.global_step());
  batch_ = batch;
  batch_idx_ = batch_idx;
}

void FiniteGuard::on_before_backward(Trainer& /*trainer*/, TrainableModule& /*module*/,
                                     const at::Tensor& loss) {
  loss_ = loss.detach();
}

bool FiniteGuard::is_finite(Trainer& trainer, Optimizer& optimizer) const {
  if (trainer.options().precision == kScaled) {
    // Of all ranks: a loss is a rank's own.
    return trainer.strategy().reduce_boolean_decision(all_finite(loss_), /*all=*/true);
  }
  std::vector<at::Tensor> gradients;
  for (const ParamGroup& group : optimizer.param_groups()) {
    for (const at::Tensor& parameter : group.params) {
      if (const at::Tensor& gradient = parameter.grad(); gradient.defined())
        gradients.push_back(gradient);
    }
  }
  if (gradients.empty()) return true;
  // One number for all of them: a norm is not finite when any of its values is not.
  return at::isfinite(at::stack(at::_foreach_norm(gradients)).sum()).item<bool>();
}

void FiniteGuard::on_before_optimizer_step(Trainer& trainer, TrainableModule& module,
                                           Optimizer& optimizer) {
  if (is_finite(trainer, optimizer)) {
    in_a_row_ = 0;
    return;
  }
  if (options_.action == NonFiniteAction::kRollBack)
    point_.request(diagnosis(trainer, module), options_.max_roll_backs);
  if (options_.action == NonFiniteAction::kStop || in_a_row_ >= options_.max_skipped)
    throw std::runtime_error(diagnosis(trainer, module));
  ++skipped_;
  ++in_a_row_;
  for (const ParamGroup& group : optimizer.param_groups()) {
    for (const at::Tensor& parameter : group.params) parameter.mutable_grad().reset();
  }
  console::warn(
      fmt::format("FiniteGuard: step {} (epoch {}, batch {}) is skipped: loss {}, gradients that "
                  "are not finite; {} skipped so far.",
                  trainer.global_step(), trainer.current_epoch(), batch_idx_,
                  loss_.defined() ? loss_.item<double>() : 0.0, skipped_));
}

void FiniteGuard::on_train_batch_end(Trainer& /*trainer*/, TrainableModule& /*module*/,
                                     const StepOutput& /*output*/, const Batch& /*batch*/,
                                     std::int64_t /*batch_idx*/) {
  batch_ = Batch();
  loss_.reset();
}

std::string FiniteGuard::diagnosis(Trainer& trainer, TrainableModule& module) {
  std::string text = fmt::format("FiniteGuard: NaN or infinity at step {} (epoch {}, batch {})",
                                 trainer.global_step(), trainer.current_epoch(), batch_idx_);
  if (in_a_row_ > 0) text += fmt::format(", after {} skipped steps in a row", in_a_row_);
  if (loss_.defined()) text += fmt::format("; loss {}", loss_.item<double>());
  text += "; " + describe_gradients(module.parameter_list());
  FirstNonFinite first;
  {
    const at::NoGradGuard no_grad;
    const ForwardObservation observation(first);
    static_cast<void>(module.training_step(batch_, batch_idx_));
  }
  if (first.module() != nullptr) {
    text += "; the first such output is that of " + name_of(module, *first.module());
    if (!first.input_was_finite()) text += ", whose input was not finite either";
  }
  int part = 0;
  batch_.visit([&](const at::Tensor& tensor) {
    text += fmt::format("; batch[{}]: {}", part++, describe_values(tensor));
  });
  return text +
         ". Look at these samples; a smaller learning rate, `gradient_clip_val`, or `action: skip` "
         "may help";
}

std::string describe_values(const at::Tensor& tensor) {
  std::string text =
      fmt::format("{} [{}]", dtype_name(tensor.scalar_type()), fmt::join(tensor.sizes(), ", "));
  if (tensor.numel() == 0 || tensor.is_complex()) return text;
  const at::Tensor values = tensor.detach().to(at::kDouble).flatten();
  const at::Tensor finite = values.masked_select(at::isfinite(values));
  if (const auto bad = values.numel() - finite.numel(); bad > 0)
    text += fmt::format(", {} of {} values are not finite", bad, values.numel());
  if (finite.numel() > 0) {
    text +=
        fmt::format(", {}{:.4g} to {:.4g}", finite.numel() < values.numel() ? "the others " : "",
                    finite.min().item<double>(), finite.max().item<double>());
  }
  return text;
}

}  // namespace lctl
