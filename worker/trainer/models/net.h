// nn.Sequential over declarative layers.
#pragma once

#include <torch/nn/module.h>

#include <string>
#include <utility>
#include <vector>

#include "worker/trainer/core/forward_observer.h"
#include "worker/trainer/models/layer.h"
#include "worker/trainer/profilers/module_scope.h"

namespace lctl {

// Layers are its children "0", "1", …, so that parameters are `0.weight`, `2.bias`, as torch names
// them. Reports its own call and its layers' to an observer. Thread rule: one strand only (the
// training thread).
class Net final : public torch::nn::Module {
 public:
  // `name`: as which child of the model it stands, for traces.
  Net(std::vector<Layer> layers, std::string name)
      : Module("Net"), name_(std::move(name)), layers_(std::move(layers)) {
    for (std::size_t i = 0; i < layers_.size(); ++i)
      register_module(std::to_string(i), layers_[i].module);
  }

  at::Tensor forward(at::Tensor x) {
    if (observation::current != nullptr) [[unlikely]]
      return observed(x);
    if (module_names_recorded) [[unlikely]]
      return named_forward(std::move(x));
    for (const Layer& layer : layers_) x = layer.forward(x);
    return x;
  }

 private:
  // The same with each layer's name in the trace.
  at::Tensor named_forward(at::Tensor x);

  at::Tensor observed(const at::Tensor& input) {
    return observation::reported(*this, input, [&] {
      at::Tensor x = input;
      for (const Layer& layer : layers_) {
        const Batch output = observation::reported(*layer.module, x, [&]() -> Batch {
          return layer.forward_whole ? layer.forward_whole(x) : Batch(layer.forward(x));
        });
        x = output.is_list() ? output[0].tensor() : output.tensor();
      }
      return x;
    });
  }

  const std::string name_;
  std::vector<Layer> layers_;
};

}  // namespace lctl
