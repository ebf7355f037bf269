// What Python's named_modules() calls the modules of a tree.
#pragma once

#include <torch/nn/module.h>

#include <map>
#include <string>

namespace lctl {

// Dotted paths of all modules below `model`. One that stands in two places has the name of the
// first.
std::map<const torch::nn::Module*, std::string> layer_paths(const torch::nn::Module& model);

}  // namespace lctl
