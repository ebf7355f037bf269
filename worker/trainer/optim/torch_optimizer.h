// What torch's optimizers have in common: parameter groups, state tensors per parameter, and the
// layout in which both are saved.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/trainer/optim/optimizer.h"
#include "worker/trainer/optim/skips_non_finite.h"

namespace lctl {

// A subclass names its state tensors ("step", "exp_avg", …) in torch's order and writes update().
// Groups may be changed from outside between steps (schedulers, callbacks that unfreeze layers):
// update() reads its hyper-parameters from the group at every step.
// Thread rule: one strand only (the training thread).
class TorchOptimizer : public Optimizer, public SkipsNonFinite {
 public:
  static constexpr std::size_t kMaxStateTensors = 4;
  // Parallel to the state's names; undefined = torch has no such entry yet.
  using State = std::array<at::Tensor, kMaxStateTensors>;

  using Optimizer::step;
  void step() final;
  void zero_grad() final;
  bool can_skip_non_finite() const final;
  void step_unless(const at::Tensor& found_inf) final;
  std::vector<ParamGroup>& param_groups() final { return groups_; }
  // One more group at the end, for layers that begin to learn. Without a rate and for options that
  // are not given: the optimizer's defaults, those of its constructor. Throws std::invalid_argument
  // in torch's words for a tensor that is no leaf and for a parameter of another group.
  void add_param_group(std::vector<at::Tensor> params, std::optional<double> lr = std::nullopt,
                       checkpoint::Dict options = {});
  checkpoint::Dict state_dict() const final;

  // Copies values in; floating ones in the type of their parameter. Throws std::invalid_argument in
  // torch's words when the groups do not match.
  void load_state_dict(const checkpoint::Dict& state) final;

 protected:
  // One parameter that has a gradient in this step.
  struct Item {
    at::Tensor param;
    at::Tensor grad;
    State* state;
  };

  // Throws std::invalid_argument for no parameters and for a negative learning rate.
  TorchOptimizer(std::vector<at::Tensor> params, double lr, checkpoint::Dict options,
                 std::initializer_list<const char*> state_names);

  // Under NoGradGuard. `items` is not empty; gradients are dense.
  virtual void update(const ParamGroup& group, std::vector<Item>& items) = 0;

  std::vector<std::vector<State>>& states() { return states_; }

  // Inside step_unless(): its argument on that device, for a fused kernel; else empty.
  std::optional<at::Tensor> found_inf_on(c10::Device device) const;
  // After a kernel that may have left the step out: takes back what was added to the step counts.
  static void take_back(std::vector<at::Tensor>& steps, const std::optional<at::Tensor>& found_inf);

  // Lists for the call of a fused kernel (parameters, gradients, ...): empty, with the capacity of
  // the step before, so that a step allocates nothing. Their tensors are let go after update().
  static constexpr std::size_t kMaxLists = 6;
  using TensorLists = std::array<std::vector<at::Tensor>, kMaxLists>;
  TensorLists& empty_lists();

 private:
  State load_state(const ParamGroup& group, const at::Tensor& param, const checkpoint::Dict& saved);

  std::vector<ParamGroup> groups_;
  double default_lr_ = 0;
  checkpoint::Dict defaults_;               // of groups that are added
  std::vector<std::vector<State>> states_;  // [group][parameter]
  std::vector<const char*> state_names_;
  std::vector<Item> items_;  // of the current step; kept for its capacity
  TensorLists lists_;
  at::Tensor found_inf_;  // undefined outside of step_unless()
};

// The same of any optimizer; LBFGS has one group and refuses, as in torch.
void add_param_group(Optimizer& optimizer, std::vector<at::Tensor> params,
                     std::optional<double> lr = std::nullopt, checkpoint::Dict options = {});

// ---- hyper-parameters of a group, as update() reads them
double number_option(const ParamGroup& group, std::string_view name);
bool flag_option(const ParamGroup& group, std::string_view name);  // None counts as false
std::pair<double, double> pair_option(const ParamGroup& group, std::string_view name);

// ---- values as torch stores them
// A float whose default is the integer 0 in torch's signature.
checkpoint::Value number_or_zero(double value);
checkpoint::Value pair_value(std::pair<double, double> values);
checkpoint::Value optional_flag(std::optional<bool> value);  // unset = None

// Throws std::invalid_argument "<what>: <value>" unless `holds`: the words of torch's checks.
void require(bool holds, std::string_view what, double value);
// Both at once is an error in torch.
void check_fused_or_foreach(std::optional<bool> fused, std::optional<bool> foreach);

// torch's two ways to keep a step count: float32 beside the parameter when the kernel reads it
// (fused, capturable), else on the CPU.
at::Tensor new_step_count(const ParamGroup& group, const at::Tensor& param);

// Adds 1 to a step count and returns it.
double advance(at::Tensor& step);

// Throws std::runtime_error unless all parameters are floating point on a device with fused
// kernels.
void check_fused(const std::vector<at::Tensor>& params);

// The items of each device and type, in order: fused kernels take one kind at a time.
template <typename Item, typename Fn>
void for_each_kind(const std::vector<Item>& items, Fn&& fn) {
  const auto as_first = [&items](const Item& item) {
    return item.param.device() == items.front().param.device() &&
           item.param.scalar_type() == items.front().param.scalar_type();
  };
  if (std::all_of(items.begin(), items.end(), as_first)) return fn(items);  // nearly always
  std::vector<bool> taken(items.size(), false);
  std::vector<Item> kind;
  for (std::size_t first = 0; first < items.size(); ++first) {
    if (taken[first]) continue;
    kind.clear();
    for (std::size_t i = first; i < items.size(); ++i) {
      const bool same = items[i].param.device() == items[first].param.device() &&
                        items[i].param.scalar_type() == items[first].param.scalar_type();
      if (taken[i] || !same) continue;
      taken[i] = true;
      kind.push_back(items[i]);
    }
    fn(kind);
  }
}

}  // namespace lctl
