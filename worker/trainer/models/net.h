// nn.Sequential over declarative layers.
#pragma once

#include <torch/nn/module.h>

#include <vector>

#include "worker/trainer/models/layer.h"

namespace lctl {

// Layers are its children "0", "1", …, so that parameters are `0.weight`, `2.bias`, as torch names
// them. Thread rule: one strand only (the training thread).
class Net final : public torch::nn::Module {
 public:
  explicit Net(std::vector<Layer> layers) : Module("Net"), layers_(std::move(layers)) {
    for (std::size_t i = 0; i < layers_.size(); ++i)
      register_module(std::to_string(i), layers_[i].module);
  }

  at::Tensor forward(at::Tensor x) {
    for (const Layer& layer : layers_) x = layer.forward(x);
    return x;
  }

 private:
  std::vector<Layer> layers_;
};

}  // namespace lctl
