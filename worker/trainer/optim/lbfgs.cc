#include "worker/trainer/optim/lbfgs.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <fmt/format.h>
#include <torch/optim/lbfgs.h>

#include <deque>
#include <stdexcept>
#include <utility>

#include "worker/trainer/optim/saved_groups.h"

namespace lctl {
namespace {

using checkpoint::Dict;
using checkpoint::List;
using checkpoint::Value;
using torch::optim::LBFGSOptions;
using torch::optim::LBFGSParamState;

Value optional_value(const auto& value) { return value ? Value(*value) : Value(); }

List list_of(const std::deque<at::Tensor>& tensors) { return {tensors.begin(), tensors.end()}; }

std::deque<at::Tensor> tensors_of(const Value& list) {
  std::deque<at::Tensor> tensors;
  for (const Value& item : list.as_list()) tensors.push_back(item.as_tensor().clone());
  return tensors;
}

LBFGSParamState* state_of(torch::optim::LBFGS& lbfgs, const at::Tensor& first) {
  const auto found = lbfgs.state().find(first.unsafeGetTensorImpl());
  return found == lbfgs.state().end() ? nullptr
                                      : static_cast<LBFGSParamState*>(found->second.get());
}

}  // namespace

Lbfgs::Lbfgs(std::vector<at::Tensor> params, const LbfgsOptions& options) {
  if (params.empty()) throw std::invalid_argument("optimizer got an empty parameter list");
  if (options.lr <= 0)
    throw std::invalid_argument(fmt::format("Invalid learning rate: {}", options.lr));
  if (options.line_search_fn && *options.line_search_fn != "strong_wolfe")
    throw std::invalid_argument("only 'strong_wolfe' is supported");
  ParamGroup group;
  group.params = std::move(params);
  group.lr = options.lr;
  group.options.set("max_iter", options.max_iter);
  group.options.set("max_eval", options.max_eval.value_or(options.max_iter * 5 / 4));
  group.options.set("tolerance_grad", options.tolerance_grad);
  group.options.set("tolerance_change", options.tolerance_change);
  group.options.set("history_size", options.history_size);
  group.options.set("line_search_fn", optional_value(options.line_search_fn));
  groups_.push_back(std::move(group));
  lbfgs_ = std::make_unique<torch::optim::LBFGS>(groups_.front().params);
}

Lbfgs::~Lbfgs() = default;

void Lbfgs::step() {
  throw std::logic_error(
      "LBFGS evaluates the loss several times: give step() a closure that computes it");
}

// Schedulers and callbacks change the group; LibTorch has a copy.
void Lbfgs::use_hyper_parameters() {
  const ParamGroup& group = groups_.front();
  auto& options = static_cast<LBFGSOptions&>(lbfgs_->param_groups().front().options());
  options.lr(group.lr);
  options.max_iter(group.options.at("max_iter").as_int());
  options.max_eval(group.options.at("max_eval").as_int());
  options.tolerance_grad(group.options.at("tolerance_grad").as_double());
  options.tolerance_change(group.options.at("tolerance_change").as_double());
  options.history_size(group.options.at("history_size").as_int());
  const Value& search = group.options.at("line_search_fn");
  options.line_search_fn(search.is_none() ? std::nullopt : std::optional(search.as_string()));
}

void Lbfgs::step(const LossClosure& closure) {
  if (groups_.size() != 1) {
    throw std::invalid_argument("LBFGS doesn't support per-parameter options (parameter groups)");
  }
  use_hyper_parameters();
  lbfgs_->step([&closure] {
    const at::AutoGradMode enable_grad(true);
    at::Tensor loss = closure();
    if (!loss.defined())
      throw std::runtime_error("LBFGS: training_step returned no loss; it needs one at each call");
    return loss.detach();
  });
}

void Lbfgs::zero_grad() {
  for (at::Tensor& parameter : groups_.front().params) parameter.mutable_grad().reset();
}

Dict Lbfgs::state_dict() const {
  const ParamGroup& group = groups_.front();
  Dict state;
  if (const LBFGSParamState* saved = state_of(*lbfgs_, group.params.front())) {
    Dict entry;
    entry.set("func_evals", saved->func_evals());
    entry.set("n_iter", saved->n_iter());
    if (saved->al()) {
      List al;
      for (const at::Tensor& tensor : *saved->al())
        al.push_back(tensor.defined() ? Value(tensor) : Value());
      entry.set("al", std::move(al));
    }
    const auto set = [&entry](const char* name, const at::Tensor& tensor) {
      entry.set(name, tensor.defined() ? Value(tensor) : Value());
    };
    set("d", saved->d());
    entry.set("t", saved->t());
    entry.set("old_dirs", list_of(saved->old_dirs()));
    entry.set("old_stps", list_of(saved->old_stps()));
    entry.set("ro", list_of(saved->ro()));
    set("H_diag", saved->H_diag());
    set("prev_flat_grad", saved->prev_flat_grad());
    entry.set("prev_loss", saved->prev_loss());
    state.set(0, std::move(entry));
  }
  Dict whole;
  whole.set("state", std::move(state));
  whole.set("param_groups", List{Value(saved_group(group, 0))});
  return whole;
}

void Lbfgs::load_state_dict(const Dict& state) {
  ParamGroup& group = groups_.front();
  const List& saved_groups = state.at("param_groups").as_list();
  check_saved_groups(saved_groups, groups_);
  load_group(group, saved_groups.front().as_dict());
  const Value* entry = state.at("state").as_dict().find(std::int64_t{0});
  if (entry == nullptr) return;
  const Dict& saved = entry->as_dict();
  const at::Tensor& first = group.params.front();
  auto loaded = std::make_unique<LBFGSParamState>();
  loaded->func_evals(saved.at("func_evals").as_int());
  loaded->n_iter(saved.at("n_iter").as_int());
  const auto tensor = [&](const char* name) {
    const Value* value = saved.find(name);
    if (value == nullptr || value->is_none()) return at::Tensor();
    return value->is_tensor()
               ? value->as_tensor().to(first.device()).clone()
               : at::full({}, value->as_double(), first.options().requires_grad(false));
  };
  loaded->d(tensor("d"));
  loaded->H_diag(tensor("H_diag"));
  loaded->prev_flat_grad(tensor("prev_flat_grad"));
  if (const Value* t = saved.find("t"); t != nullptr && !t->is_none()) loaded->t(saved_number(*t));
  if (const Value* loss = saved.find("prev_loss"); loss != nullptr && !loss->is_none())
    loaded->prev_loss(saved_number(*loss));
  if (const Value* list = saved.find("old_dirs")) loaded->old_dirs(tensors_of(*list));
  if (const Value* list = saved.find("old_stps")) loaded->old_stps(tensors_of(*list));
  if (const Value* list = saved.find("ro")) loaded->ro(tensors_of(*list));
  if (const Value* list = saved.find("al"); list != nullptr && list->is_list()) {
    std::vector<at::Tensor> al;
    for (const Value& item : list->as_list())
      al.push_back(item.is_none() ? at::Tensor() : item.as_tensor().clone());
    loaded->al(std::move(al));
  }
  lbfgs_->state()[first.unsafeGetTensorImpl()] = std::move(loaded);
}

}  // namespace lctl
