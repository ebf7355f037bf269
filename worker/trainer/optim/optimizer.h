// torch.optim's optimizers: parameter groups, state, one update per step().
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "worker/trainer/checkpoint/value.h"

namespace lctl {

struct ParamGroup {
  std::vector<at::Tensor> params;
  double lr = 0;             // the value in force; schedulers write it
  checkpoint::Dict options;  // all other hyper-parameters, in torch's order and with torch's names
};

// Thread rule: one strand only (the training thread).
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  virtual std::string type_name() const = 0;  // "AdamW"

  // One update from the parameters' gradients. Parameters without a gradient are left alone.
  virtual void step() = 0;

  // Gradients become undefined.
  virtual void zero_grad() = 0;

  virtual std::vector<ParamGroup>& param_groups() = 0;

  // torch's layout: {"state": {index: {...}}, "param_groups": [{..., "params": [indices]}]}.
  virtual checkpoint::Dict state_dict() const = 0;
  virtual void load_state_dict(const checkpoint::Dict& state) = 0;
};

}  // namespace lctl
