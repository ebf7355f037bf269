// One entry of a declarative model's `layers`: a module with its state, and how to call it.
#pragma once

#include <torch/nn/module.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jobspec/config.h"
#include "worker/trainer/data/batch.h"

namespace lctl {

// The module holds parameters and buffers under torch's names; `forward` takes and gives one tensor
// (of a layer that returns a tuple: its first element; `forward_whole` then gives all of it).
// Copies share the module. Thread rule: one strand only (the training thread).
struct Layer {
  std::shared_ptr<torch::nn::Module> module;
  std::function<at::Tensor(const at::Tensor&)> forward;
  std::function<Batch(const at::Tensor&)> forward_whole = nullptr;  // null: forward gives it all
};

// Draws initial values from the global generator as torch's constructor does. Throws
// std::invalid_argument that starts with `where` ("model.init_args.layers.2.Linear") for arguments
// that do not go together, and for a class that is not built here.
Layer make_layer(const jobspec::ClassSpec& spec, const std::string& where);

// All names that make_layer() knows.
std::vector<std::string_view> layer_names();

// A layer around one of LibTorch's modules with forward(Tensor) -> Tensor.
template <typename Module>
Layer layer_around(std::shared_ptr<Module> module) {
  Module* const raw = module.get();
  return {std::move(module), [raw](const at::Tensor& x) { return raw->forward(x); }};
}

}  // namespace lctl
