// The layers of a model as W&B shows them.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace lctl {
class TrainableModule;
}

namespace lctl::wandb {

// Watches forward passes while it lives: each layer's name, text, parameters and the shape of what
// it gave. Layers of containers (Sequential) stand for themselves, what is inside of another layer
// does not. Thread rule: one strand only (the thread of the forward pass).
class LayerGraph {
 public:
  // Null for a model that is no tree of torch modules.
  static std::unique_ptr<LayerGraph> of(TrainableModule& model);
  virtual ~LayerGraph() = default;

  // W&B's graph file, the layers in the order of their calls; nullopt until each was called.
  virtual std::optional<std::string> json() const = 0;
};

}  // namespace lctl::wandb
