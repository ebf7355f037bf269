#include "worker/trainer/optim/lbfgs.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <cmath>
#include <stdexcept>
#include <utility>

#include "worker/trainer/optim/lbfgs_line_search.h"
#include "worker/trainer/optim/saved_groups.h"

namespace lctl {
namespace {

using checkpoint::Dict;
using checkpoint::List;
using checkpoint::Value;

Value optional_value(const auto& value) { return value ? Value(*value) : Value(); }
Value optional_tensor(const at::Tensor& tensor) {
  return tensor.defined() ? Value(tensor) : Value();
}

List list_of(const std::vector<at::Tensor>& tensors) {
  List list;
  for (const at::Tensor& tensor : tensors) list.push_back(optional_tensor(tensor));
  return list;
}

at::Tensor flat_gradient(const std::vector<at::Tensor>& params) {
  std::vector<at::Tensor> parts;
  for (const at::Tensor& param : params) {
    const at::Tensor& grad = param.grad();
    parts.push_back((grad.defined() ? grad : at::zeros_like(param.detach())).reshape({-1}));
  }
  return at::cat(parts);
}

}  // namespace

LBFGS::LBFGS(std::vector<at::Tensor> params, const LbfgsOptions& options) {
  if (params.empty()) throw std::invalid_argument("optimizer got an empty parameter list");
  if (options.lr < 0)
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
}

void LBFGS::step() {
  throw std::logic_error(
      "LBFGS evaluates the loss several times: give step() a closure that computes it");
}

double LBFGS::option(std::string_view name) const {
  return saved_number(groups_.front().options.at(name));
}

LBFGS::Place LBFGS::evaluate(const LossClosure& closure) {
  const at::AutoGradMode enable_grad(true);
  const at::Tensor loss = closure();
  if (!loss.defined())
    throw std::runtime_error("LBFGS: training_step returned no loss; it needs one at each call");
  const at::NoGradGuard no_grad;
  at::Tensor gradient = flat_gradient(groups_.front().params);
  const bool flat = Number(gradient.abs().max()) <= option("tolerance_grad");
  return {loss.item<double>(), std::move(gradient), flat};
}

void LBFGS::step(const LossClosure& closure) {
  if (groups_.size() != 1) {
    throw std::invalid_argument("LBFGS doesn't support per-parameter options (parameter groups)");
  }
  const at::NoGradGuard no_grad;
  Place place = evaluate(closure);
  if (!history_) history_.emplace();
  ++history_->func_evals;
  if (place.flat) return;
  const auto max_iter = static_cast<std::int64_t>(option("max_iter"));
  const auto max_eval = static_cast<std::int64_t>(option("max_eval"));
  std::int64_t evaluations = 1;
  for (std::int64_t i = 1; i <= max_iter; ++i) {
    if (!advance(closure, place, i == max_iter, evaluations)) break;
    if (evaluations >= max_eval || place.flat) break;
    const double tolerance = option("tolerance_change");
    if (Number(history_->t.times(history_->d).abs().max()) <= tolerance) break;
    if (std::abs(place.loss - history_->prev_loss) < tolerance) break;
  }
}

// One iteration; false when it was the last.
bool LBFGS::advance(const LossClosure& closure, Place& place, bool is_last,
                    std::int64_t& evaluations) {
  History& history = *history_;
  const double lr = groups_.front().lr;
  ++history.n_iter;
  history.d = direction(place);
  if (!history.prev_flat_grad.defined()) {
    history.prev_flat_grad = place.gradient.clone();
  } else {
    history.prev_flat_grad.copy_(place.gradient);
  }
  history.prev_loss = place.loss;
  history.t = history.n_iter == 1
                  ? smaller(1.0, Number(1.0) / Number(place.gradient.abs().sum())) * Number(lr)
                  : Number(lr);
  const Number slope = place.gradient.dot(history.d);
  if (slope > -option("tolerance_change")) return false;

  std::int64_t here = 0;
  if (!groups_.front().options.at("line_search_fn").is_none()) {
    const std::vector<at::Tensor>& params = groups_.front().params;
    std::vector<at::Tensor> start;
    for (const at::Tensor& param : params) start.push_back(param.clone());
    const auto at_length = [&](const Number& length) -> LinePoint {
      move(length);
      Place there = evaluate(closure);
      for (std::size_t i = 0; i < params.size(); ++i) params[i].copy_(start[i]);
      return {there.loss, std::move(there.gradient)};
    };
    const auto left = static_cast<std::int64_t>(option("max_eval")) - evaluations;
    WolfeStep found = strong_wolfe(at_length, history.t, history.d, {place.loss, place.gradient},
                                   slope, 1e-9, left);
    history.t = found.length;
    here = found.evaluations;
    const bool flat = Number(found.point.gradient.abs().max()) <= option("tolerance_grad");
    place = {found.point.loss, std::move(found.point.gradient), flat};
    move(history.t);
  } else {
    move(history.t);
    if (!is_last) {  // nobody asks for the loss after the last iteration
      place = evaluate(closure);
      here = 1;
    }
  }
  evaluations += here;
  history.func_evals += here;
  return !is_last;
}

// The approximate inverse Hessian times the negative gradient.
at::Tensor LBFGS::direction(const Place& place) {
  History& history = *history_;
  if (history.n_iter == 1) return place.gradient.neg();
  const auto size = static_cast<std::size_t>(option("history_size"));
  const at::Tensor y = place.gradient.sub(history.prev_flat_grad);
  const at::Tensor s = history.t.times(history.d);
  const at::Tensor ys = y.dot(s);
  if (ys.gt(1e-10).item<bool>()) {
    if (history.old_dirs.size() == size) {
      for (auto* list : {&history.old_dirs, &history.old_stps, &history.ro}) {
        list->erase(list->begin());
      }
    }
    history.old_dirs.push_back(y);
    history.old_stps.push_back(s);
    history.ro.push_back(ys.reciprocal());
    history.H_diag = ys.div(y.dot(y));
  }
  if (history.al.empty()) history.al.resize(size);
  const std::size_t count = history.old_dirs.size();
  const at::Tensor q = place.gradient.neg();
  for (std::size_t i = count; i-- > 0;) {
    history.al[i] = history.old_stps[i].dot(q).mul(history.ro[i]);
    q.add_(history.old_dirs[i], history.al[i].neg().item());
  }
  at::Tensor r = history.H_diag.times(q);
  for (std::size_t i = 0; i < count; ++i) {
    const at::Tensor be = history.old_dirs[i].dot(r).mul(history.ro[i]);
    r.add_(history.old_stps[i], history.al[i].sub(be).item());
  }
  return r;
}

// All parameters along the direction.
void LBFGS::move(const Number& length) {
  std::int64_t offset = 0;
  for (at::Tensor& param : groups_.front().params) {
    const std::int64_t count = param.numel();
    param.add_(history_->d.slice(0, offset, offset + count).view_as(param), length.to_double());
    offset += count;
  }
}

void LBFGS::zero_grad() {
  for (at::Tensor& parameter : groups_.front().params) parameter.mutable_grad().reset();
}

Dict LBFGS::state_dict() const {
  Dict state;
  if (history_) {
    Dict entry;
    entry.set("func_evals", history_->func_evals);
    entry.set("n_iter", history_->n_iter);
    if (!history_->al.empty()) entry.set("al", list_of(history_->al));
    if (history_->d.defined()) {
      entry.set("d", history_->d);
      entry.set("t", history_->t.saved());
      entry.set("old_dirs", list_of(history_->old_dirs));
      entry.set("old_stps", list_of(history_->old_stps));
      entry.set("ro", list_of(history_->ro));
      entry.set("H_diag", history_->H_diag.is_tensor() ? history_->H_diag.saved() : Value(1));
      entry.set("prev_flat_grad", history_->prev_flat_grad);
      entry.set("prev_loss", history_->prev_loss);
    }
    state.set(0, std::move(entry));
  }
  Dict whole;
  whole.set("state", std::move(state));
  whole.set("param_groups", List{Value(saved_group(groups_.front(), 0))});
  return whole;
}

void LBFGS::load_state_dict(const Dict& state) {
  const List& saved_groups = state.at("param_groups").as_list();
  check_saved_groups(saved_groups, groups_);
  load_group(groups_.front(), saved_groups.front().as_dict());
  const Value* entry = state.at("state").as_dict().find(std::int64_t{0});
  if (entry == nullptr) return;
  const Dict& saved = entry->as_dict();
  const auto kind = groups_.front().params.front().options().requires_grad(false);
  const auto present = [&saved](const char* name) {
    const Value* value = saved.find(name);
    return value == nullptr || value->is_none() ? nullptr : value;
  };
  const auto tensor = [&kind](const Value& value) {
    if (value.is_none()) return at::Tensor();
    return value.is_tensor() ? value.as_tensor().to(kind, /*non_blocking=*/false, /*copy=*/true)
                             : at::full({}, value.as_double(), kind);
  };
  const auto load_list = [&](const char* name, std::vector<at::Tensor>& list) {
    const Value* value = present(name);
    if (value == nullptr) return;
    for (const Value& item : value->as_list()) list.push_back(tensor(item));
  };
  History loaded;
  loaded.func_evals = saved.at("func_evals").as_int();
  loaded.n_iter = saved.at("n_iter").as_int();
  if (const Value* d = present("d")) loaded.d = tensor(*d);
  if (const Value* t = present("t")) loaded.t = Number::loaded(*t);
  if (const Value* h = present("H_diag")) loaded.H_diag = Number::loaded(*h);
  if (const Value* grad = present("prev_flat_grad")) loaded.prev_flat_grad = tensor(*grad);
  if (const Value* loss = present("prev_loss")) loaded.prev_loss = saved_number(*loss);
  load_list("al", loaded.al);
  load_list("old_dirs", loaded.old_dirs);
  load_list("old_stps", loaded.old_stps);
  load_list("ro", loaded.ro);
  history_ = std::move(loaded);
}

}  // namespace lctl
