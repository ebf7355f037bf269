// The optimizer of a module whose configure_optimizers returns none.
#pragma once

#include <string>
#include <vector>

#include "worker/trainer/optim/optimizer.h"

namespace lctl {

// Lightning's _MockOptimizer: the run goes its usual way, hooks and counters included, and no
// weight changes. It has no groups, saves an empty dictionary, and does not clear gradients.
// Thread rule: one strand only (the training thread).
class MockOptimizer final : public Optimizer {
 public:
  using Optimizer::step;
  std::string type_name() const override { return "_MockOptimizer"; }
  void step() override {}
  void zero_grad() override {}
  std::vector<ParamGroup>& param_groups() override { return groups_; }
  checkpoint::Dict state_dict() const override { return {}; }
  void load_state_dict(const checkpoint::Dict& /*state*/) override {}

 private:
  std::vector<ParamGroup> groups_;
};

}  // namespace lctl
