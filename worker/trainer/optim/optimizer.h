// torch.optim's optimizers: parameter groups, state, one update per step().
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "worker/trainer/checkpoint/value.h"

namespace lctl {

struct ParamGroup {
  std::vector<at::Tensor> params;
  double lr = 0;             // the value in force; schedulers write it
  checkpoint::Dict options;  // all other hyper-parameters, in torch's order and with torch's names
};

// Forward and backward once more; the loss, undefined when there was none.
using LossClosure = std::function<at::Tensor()>;

// Thread rule: one strand only (the training thread).
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  virtual std::string type_name() const = 0;  // "AdamW"

  // One update from the parameters' gradients. Parameters without a gradient are left alone.
  virtual void step() = 0;

  // The same, after the closure has made the gradients. LBFGS calls it several times.
  virtual void step(const LossClosure& closure) {
    closure();
    step();
  }
  // Whether a step is more than one evaluation of the closure.
  virtual bool evaluates_repeatedly() const { return false; }

  // Gradients become undefined.
  virtual void zero_grad() = 0;

  virtual std::vector<ParamGroup>& param_groups() = 0;

  // torch's layout: {"state": {index: {...}}, "param_groups": [{..., "params": [indices]}]}.
  virtual checkpoint::Dict state_dict() const = 0;
  virtual void load_state_dict(const checkpoint::Dict& state) = 0;
};

}  // namespace lctl
