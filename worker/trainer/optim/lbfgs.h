// torch.optim.LBFGS.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/trainer/optim/number.h"
#include "worker/trainer/optim/optimizer.h"

namespace lctl {

// torch's arguments with its defaults.
struct LbfgsOptions {
  double lr = 1.0;
  std::int64_t max_iter = 20;
  std::optional<std::int64_t> max_eval;  // none: max_iter * 5 / 4
  double tolerance_grad = 1e-7;
  double tolerance_change = 1e-9;
  std::int64_t history_size = 100;
  std::optional<std::string> line_search_fn;  // or "strong_wolfe"
};

// Evaluates the closure several times per step: each runs training_step, its hooks and clipping
// again. One parameter group. LibTorch's own LBFGS computes lengths and slopes in double; torch's
// in Python has tensors there, and so has this one: where a search ends depends on the last bits.
// Source: Nocedal & Wright, "Numerical Optimization", ch. 7.
// Thread rule: one strand only (the training thread).
class LBFGS final : public Optimizer {
 public:
  using Options = LbfgsOptions;

  // Throws std::invalid_argument for no parameters, a bad rate or an unknown line search.
  LBFGS(std::vector<at::Tensor> params, const LbfgsOptions& options);

  std::string type_name() const override { return "LBFGS"; }
  void step() override;  // throws std::logic_error: it needs the closure
  void step(const LossClosure& closure) override;
  bool evaluates_repeatedly() const override { return true; }
  void zero_grad() override;
  std::vector<ParamGroup>& param_groups() override { return groups_; }
  checkpoint::Dict state_dict() const override;
  void load_state_dict(const checkpoint::Dict& state) override;

 private:
  // What one step leaves to the next; torch's names.
  struct History {
    std::int64_t func_evals = 0;
    std::int64_t n_iter = 0;
    std::vector<at::Tensor> al;  // of history_size, undefined where not yet used
    at::Tensor d;                // the direction; undefined before the first step
    Number t = 0.0;
    std::vector<at::Tensor> old_dirs;
    std::vector<at::Tensor> old_stps;
    std::vector<at::Tensor> ro;
    Number H_diag = 1.0;
    at::Tensor prev_flat_grad;
    double prev_loss = 0;
  };
  // Where the iterations of a step are.
  struct Place {
    double loss;
    at::Tensor gradient;  // of all parameters, as one vector
    bool flat;            // no entry beyond tolerance_grad
  };

  double option(std::string_view name) const;
  Place evaluate(const LossClosure& closure);
  at::Tensor direction(const Place& place);
  bool advance(const LossClosure& closure, Place& place, bool is_last, std::int64_t& evaluations);
  void move(const Number& length);

  std::vector<ParamGroup> groups_;
  std::optional<History> history_;  // none before the first evaluation
};

}  // namespace lctl
