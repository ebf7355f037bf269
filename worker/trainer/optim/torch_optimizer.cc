#include "worker/trainer/optim/torch_optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "worker/trainer/optim/saved_groups.h"

namespace lctl {

using checkpoint::Dict;
using checkpoint::List;
using checkpoint::Value;

TorchOptimizer::TorchOptimizer(std::vector<at::Tensor> params, double lr, Dict options,
                               std::initializer_list<const char*> state_names)
    : default_lr_(lr), defaults_(options), state_names_(state_names) {
  if (params.empty()) throw std::invalid_argument("optimizer got an empty parameter list");
  require(lr >= 0, "Invalid learning rate", lr);
  if (flag_option({{}, lr, options}, "fused")) check_fused(params);
  groups_.push_back({std::move(params), lr, std::move(options)});
  states_.emplace_back(groups_.front().params.size());
}

void TorchOptimizer::add_param_group(std::vector<at::Tensor> params, std::optional<double> lr,
                                     Dict options) {
  for (const at::Tensor& param : params) {
    if (!param.is_leaf() && !param.retains_grad())
      throw std::invalid_argument("can't optimize a non-leaf Tensor");
    for (const ParamGroup& group : groups_) {
      const bool known = std::any_of(group.params.begin(), group.params.end(),
                                     [&](const at::Tensor& other) { return other.is_same(param); });
      if (known)
        throw std::invalid_argument("some parameters appear in more than one parameter group");
    }
  }
  for (const auto& [key, value] : defaults_.entries()) {
    if (options.find(key.as_string()) == nullptr) options.set(key.as_string(), value);
  }
  ParamGroup added{std::move(params), lr.value_or(default_lr_), std::move(options)};
  if (flag_option(added, "fused")) check_fused(added.params);
  groups_.push_back(std::move(added));
}

void add_param_group(Optimizer& optimizer, std::vector<at::Tensor> params, std::optional<double> lr,
                     Dict options) {
  auto* torch = dynamic_cast<TorchOptimizer*>(&optimizer);
  if (torch == nullptr) {
    throw std::invalid_argument(fmt::format(
        "{} doesn't support per-parameter options (parameter groups)", optimizer.type_name()));
  }
  torch->add_param_group(std::move(params), lr, std::move(options));
}

void TorchOptimizer::step() {
  const at::NoGradGuard no_grad;
  states_.resize(groups_.size());
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const ParamGroup& group = groups_[g];
    states_[g].resize(group.params.size());
    items_.clear();
    for (std::size_t i = 0; i < group.params.size(); ++i) {
      const at::Tensor& grad = group.params[i].grad();
      if (!grad.defined()) continue;
      if (grad.is_sparse()) {
        throw std::runtime_error(
            fmt::format("{} does not support sparse gradients here; build the Embedding without "
                        "sparse: true",
                        type_name()));
      }
      items_.push_back({group.params[i], grad, &states_[g][i]});
    }
    if (!items_.empty()) update(group, items_);
  }
  items_.clear();  // holds no tensor beyond the step
  empty_lists();
}

bool TorchOptimizer::can_skip_non_finite() const {
  return std::all_of(groups_.begin(), groups_.end(),
                     [](const ParamGroup& group) { return flag_option(group, "fused"); });
}

void TorchOptimizer::step_unless(const at::Tensor& found_inf) {
  struct Scope {
    at::Tensor& marked;
    ~Scope() { marked.reset(); }
  } scope{found_inf_ = found_inf};
  step();
}

std::optional<at::Tensor> TorchOptimizer::found_inf_on(c10::Device device) const {
  if (!found_inf_.defined()) return std::nullopt;
  return found_inf_.to(device, found_inf_.scalar_type(), /*non_blocking=*/true);
}

void TorchOptimizer::take_back(std::vector<at::Tensor>& steps,
                               const std::optional<at::Tensor>& found_inf) {
  if (found_inf) at::_foreach_sub_(steps, std::vector<at::Tensor>(steps.size(), *found_inf));
}

TorchOptimizer::TensorLists& TorchOptimizer::empty_lists() {
  for (std::vector<at::Tensor>& list : lists_) list.clear();
  return lists_;
}

void TorchOptimizer::zero_grad() {
  for (ParamGroup& group : groups_) {
    for (at::Tensor& param : group.params) param.mutable_grad().reset();
  }
}

Dict TorchOptimizer::state_dict() const {
  Dict states;
  List groups;
  std::int64_t index = 0;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const ParamGroup& group = groups_[g];
    groups.emplace_back(saved_group(group, index));
    for (std::size_t i = 0; i < group.params.size(); ++i, ++index) {
      if (g >= states_.size() || i >= states_[g].size()) continue;
      Dict entry;
      for (std::size_t n = 0; n < state_names_.size(); ++n) {
        if (states_[g][i][n].defined()) entry.set(state_names_[n], states_[g][i][n]);
      }
      if (entry.size() > 0) states.set(index, std::move(entry));
    }
  }
  Dict state;
  state.set("state", std::move(states));
  state.set("param_groups", std::move(groups));
  return state;
}

void TorchOptimizer::load_state_dict(const Dict& state) {
  const List& groups = state.at("param_groups").as_list();
  const Dict& saved_states = state.at("state").as_dict();
  check_saved_groups(groups, groups_);
  std::vector<std::vector<State>> states(groups.size());
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const Dict& saved = groups[g].as_dict();
    const List& indices = saved.at("params").as_list();
    ParamGroup loaded = groups_[g];
    load_group(loaded, saved);
    states[g].resize(indices.size());
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const Value* entry = saved_states.find(indices[i].as_int());
      if (entry != nullptr) states[g][i] = load_state(loaded, loaded.params[i], entry->as_dict());
    }
    groups_[g] = std::move(loaded);
  }
  states_ = std::move(states);
}

TorchOptimizer::State TorchOptimizer::load_state(const ParamGroup& group, const at::Tensor& param,
                                                 const Dict& saved) {
  State state;
  const bool step_beside_param = flag_option(group, "fused") || flag_option(group, "capturable");
  for (std::size_t n = 0; n < state_names_.size(); ++n) {
    const std::string_view name = state_names_[n];
    const Value* value = saved.find(name);
    if (value == nullptr || value->is_none()) continue;
    if (!value->is_tensor()) {  // step counts of torch before 1.12
      state[n] = new_step_count(group, param).fill_(value->as_double());
    } else if (name != "step") {
      const at::Tensor& tensor = value->as_tensor();
      const auto type = param.is_floating_point() ? param.scalar_type() : tensor.scalar_type();
      state[n] = tensor.to(param.device(), type, /*non_blocking=*/false, /*copy=*/true);
    } else if (step_beside_param) {
      state[n] =
          value->as_tensor().to(param.device(), at::kFloat, /*non_blocking=*/false, /*copy=*/true);
    } else {
      state[n] = value->as_tensor().clone();
    }
  }
  return state;
}

double number_option(const ParamGroup& group, std::string_view name) {
  return saved_number(group.options.at(name));
}

bool flag_option(const ParamGroup& group, std::string_view name) {
  const Value* value = group.options.find(name);
  return value != nullptr && value->is_bool() && value->as_bool();
}

std::pair<double, double> pair_option(const ParamGroup& group, std::string_view name) {
  const Value& value = group.options.at(name);
  const std::vector<Value>& items = value.is_list() ? value.as_list() : value.as_tuple().items;
  if (items.size() != 2) {
    throw std::invalid_argument(
        fmt::format("'{}' must be two numbers, not {}", name, items.size()));
  }
  return {saved_number(items[0]), saved_number(items[1])};
}

Value number_or_zero(double value) { return value == 0 ? Value(0) : Value(value); }

Value pair_value(std::pair<double, double> values) {
  return checkpoint::Tuple{{Value(values.first), Value(values.second)}};
}

Value optional_flag(std::optional<bool> value) {
  return value.has_value() ? Value(*value) : Value();
}

void require(bool holds, std::string_view what, double value) {
  if (!holds) throw std::invalid_argument(fmt::format("{}: {}", what, value));
}

void check_fused_or_foreach(std::optional<bool> fused, std::optional<bool> foreach) {
  if (fused.value_or(false) && foreach.value_or(false)) {
    throw std::invalid_argument("`fused` and `foreach` cannot be `True` together.");
  }
}

at::Tensor new_step_count(const ParamGroup& group, const at::Tensor& param) {
  const bool beside = flag_option(group, "fused") || flag_option(group, "capturable");
  return at::zeros(
      {}, at::TensorOptions().dtype(at::kFloat).device(beside ? param.device() : at::kCPU));
}

double advance(at::Tensor& step) {
  step.add_(1);
  return step.item<double>();
}

void check_fused(const std::vector<at::Tensor>& params) {
  for (const at::Tensor& param : params) {
    if (param.is_floating_point() && (param.is_cpu() || param.is_cuda())) continue;
    throw std::runtime_error(fmt::format(
        "`fused=True` requires all the params to be floating point Tensors of supported devices: "
        "cpu, cuda; one is {} on {}",
        c10::toString(param.scalar_type()), param.device().str()));
  }
}

}  // namespace lctl
