// What a step of a module returns.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

namespace lctl {

// Lightning's three possible results: a tensor, a dict with "loss" (and more), or None.
// Thread rule: caller locks.
struct StepOutput {
  StepOutput() = default;  // None
  StepOutput(at::Tensor loss_value)
      : loss(std::move(loss_value)) {}  // NOLINT: as in Python, `return loss;`
  // A dict: return {loss, {{"logits", logits}}};
  StepOutput(at::Tensor loss_value, std::vector<std::pair<std::string, at::Tensor>> more)
      : loss(std::move(loss_value)), extra(std::move(more)) {}

  bool is_none() const { return !loss.defined() && extra.empty(); }

  at::Tensor loss;                                        // undefined: none was returned
  std::vector<std::pair<std::string, at::Tensor>> extra;  // further dict entries, in order
};

}  // namespace lctl
