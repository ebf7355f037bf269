// Which module ran which operator: for models whose modules do not report their calls.
#pragma once

#include <torch/nn/module.h>

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/callbacks/layer_sizes.h"
#include "worker/trainer/callbacks/operator_trace.h"

namespace lctl {

// "[2, 8]" of a tensor's sizes; "?" for a scalar, as Lightning has it.
std::string sizes_text(const at::Tensor& tensor);

// The rules are those of observe_forward(). Thread rule: immutable.
class TracedLayers {
 public:
  // Both must outlive it.
  TracedLayers(const torch::nn::Module& model, const std::vector<TracedOperator>& operators);

  LayerSizes sizes_of(const torch::nn::Module& module) const;

 private:
  // A module's call, as the operators tell it.
  struct Call {
    at::Tensor input;   // undefined = not known
    at::Tensor output;  // of a tuple: its first element
    std::string in = "?";
    std::string out = "?";
    std::size_t first = 0;  // operators from … to …
    std::size_t last = 0;
  };

  struct Owner {
    const torch::nn::Module* module;
    std::string name;  // LibTorch's class; "" for others
    std::vector<at::Tensor> state;
  };

  static void collect_owners(const torch::nn::Module& module, std::vector<Owner>& owners);
  static void add_transposed(const TracedOperator& traced, std::vector<Owner>& owners);
  void attribute(std::size_t index, const std::vector<Owner>& owners);
  void take_neighbours(Call& call, const Owner& linear) const;
  void find_sequentials(const torch::nn::Module& module);
  void follow(const std::vector<const torch::nn::Module*>& children);
  void join(const torch::nn::Module& sequential,
            const std::vector<const torch::nn::Module*>& children);
  std::optional<Call> call_of_operator(std::size_t index, const torch::nn::Module& module) const;
  std::optional<std::int64_t> flops_of(const torch::nn::Module& module) const;
  bool runs(std::size_t index, const torch::nn::Module& module) const;

  const std::vector<TracedOperator>& operators_;
  std::map<const torch::nn::Module*, Call> calls_;
  std::map<const torch::nn::Module*, std::int64_t> flops_;  // of modules with parameters
  bool all_attributed_ = true;  // each operator that costs something belongs to a module
};

}  // namespace lctl
