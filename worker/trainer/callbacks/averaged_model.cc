#include "worker/trainer/callbacks/averaged_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace lctl {

AverageFunction equal_average() {
  return [](const at::Tensor& average, const at::Tensor& current, const at::Tensor& next_count) {
    return average + (current - average) / next_count;
  };
}

AverageFunction exponential_average(double decay) {
  return [decay](const at::Tensor& average, const at::Tensor& current, const at::Tensor&) {
    return average * decay + current * (1 - decay);
  };
}

AveragedModel::AveragedModel(const TrainableModule& module, c10::Device device) {
  const at::NoGradGuard no_grad;
  const std::vector<NamedTensor> parameters = module.parameter_list();
  for (NamedTensor& state : module.state_list()) {
    const auto same = [&](const auto& other) { return other.is_same(state.tensor); };
    Item item;
    const auto before = std::find_if(items_.begin(), items_.end(),
                                     [&](const Item& other) { return same(other.current); });
    item.repeated = before != items_.end();
    item.average = item.repeated ? before->average
                                 : state.tensor.detach().to(device, state.tensor.scalar_type(),
                                                            /*non_blocking=*/false, /*copy=*/true);
    item.is_parameter = std::any_of(parameters.begin(), parameters.end(),
                                    [&](const NamedTensor& other) { return same(other.tensor); });
    item.name = std::move(state.name);
    item.current = std::move(state.tensor);
    items_.push_back(std::move(item));
  }
}

template <typename Visit>
void AveragedModel::for_each(Part part, const Visit& visit) {
  const at::NoGradGuard no_grad;
  for (Item& item : items_) {
    if (item.repeated) continue;
    if (part != Part::kAll && item.is_parameter != (part == Part::kParameters)) continue;
    visit(item.average, item.current);
  }
}

void AveragedModel::move_to(c10::Device device) {
  for_each(Part::kAll, [device](at::Tensor& average, at::Tensor&) {
    average.set_data(average.to(device));  // repeated items share the tensor
  });
}

void AveragedModel::update(Part part, std::int64_t count, const AverageFunction& function) {
  if (count == 0) return copy_from_module(part);
  const at::Tensor next_count = at::scalar_tensor(count + 1, at::kLong);
  for_each(part, [&](at::Tensor& average, at::Tensor& current) {
    average.copy_(function(average, current.detach().to(average.device()), next_count));
  });
}

void AveragedModel::copy_from_module(Part part) {
  for_each(part, [](at::Tensor& average, at::Tensor& current) { average.copy_(current); });
}

void AveragedModel::copy_to_module(Part part) {
  for_each(part, [](at::Tensor& average, at::Tensor& current) { current.copy_(average); });
}

void AveragedModel::swap_with_module() {
  for_each(Part::kAll, [](at::Tensor& average, at::Tensor& current) {
    const at::Tensor kept = average.clone();
    average.copy_(current);
    current.copy_(kept);
  });
}

checkpoint::Dict AveragedModel::state_dict() const {
  checkpoint::Dict state;
  for (const Item& item : items_) state.set(item.name, item.average);
  return state;
}

void AveragedModel::load_state_dict(const checkpoint::Dict& state, bool strict) {
  const at::NoGradGuard no_grad;
  std::vector<std::string> problems;
  for (Item& item : items_) {
    const checkpoint::Value* saved = state.find(item.name);
    if (saved == nullptr) {
      if (strict) problems.push_back(fmt::format("\"{}\" is missing", item.name));
    } else if (saved->as_tensor().sizes() != item.average.sizes()) {
      problems.push_back(fmt::format("\"{}\" has another shape than in the model", item.name));
    } else {
      item.average.copy_(saved->as_tensor());
    }
  }
  if (problems.empty()) return;
  throw std::runtime_error(
      fmt::format("the checkpoint's averaged weights do not fit the model: {}. Use the model that "
                  "the checkpoint was written with",
                  fmt::join(problems, ", ")));
}

}  // namespace lctl
