// What the modules of a model take and give in one forward pass.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace lctl {

// Sizes as Python prints them: "[2, 8]", "[[2, 8], [1, 8]]"; "?" = not called, or not known.
struct LayerSizes {
  std::string in = "?";
  std::string out = "?";
  std::optional<std::int64_t> flops;  // none = not known
};

struct ForwardSizes {
  std::map<std::string, LayerSizes> layers;  // by dotted path; all modules of the tree, "" excepted
  std::int64_t total_flops = 0;
};

// Runs `forward` once and looks at the modules below `model`. Of models that report their calls
// (the declarative ones) all is known. Of others an operator belongs to the module whose parameter
// it reads, if it is the one operator that this class runs (torch::nn::Linear, convolutions,
// normalisations, Embedding, PReLU, recurrent layers); modules without parameters between those of
// a torch::nn::Sequential, and the Sequential itself, follow where each takes what the one before
// it gave. All else is "?": no size is a guess. `inside_layers`: see ForwardObserver. What
// `forward` throws passes through. Thread rule: caller locks the model.
ForwardSizes observe_forward(torch::nn::Module& model, bool inside_layers,
                             const std::function<void()>& forward);

}  // namespace lctl
