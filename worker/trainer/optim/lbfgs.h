// LBFGS: LibTorch's, with torch's state layout.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/optim/optimizer.h"

namespace torch::optim {
class LBFGS;
}  // namespace torch::optim

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
// again. One parameter group. Source: Nocedal & Wright, "Numerical Optimization", ch. 7.
// Thread rule: one strand only (the training thread).
class Lbfgs final : public Optimizer {
 public:
  // Throws std::invalid_argument for no parameters, a bad rate or an unknown line search.
  Lbfgs(std::vector<at::Tensor> params, const LbfgsOptions& options);
  ~Lbfgs() override;

  std::string type_name() const override { return "LBFGS"; }
  void step() override;  // throws std::logic_error: it needs the closure
  void step(const LossClosure& closure) override;
  bool evaluates_repeatedly() const override { return true; }
  void zero_grad() override;
  std::vector<ParamGroup>& param_groups() override { return groups_; }
  checkpoint::Dict state_dict() const override;
  void load_state_dict(const checkpoint::Dict& state) override;

 private:
  void use_hyper_parameters();

  std::vector<ParamGroup> groups_;
  std::unique_ptr<torch::optim::LBFGS> lbfgs_;
};

}  // namespace lctl
