// torch.optim.Rprop: resilient backpropagation, which looks at signs of gradients only.
#pragma once

#include <optional>
#include <utility>

#include "worker/trainer/optim/torch_optimizer.h"

namespace lctl {

// torch's names and defaults.
struct RpropOptions {
  double lr = 1e-2;
  std::pair<double, double> etas = {0.5, 1.2};
  std::pair<double, double> step_sizes = {1e-6, 50};
  bool maximize = false;
  std::optional<bool> foreach = std::nullopt;  // kept, without effect: one loop serves both
};

// Thread rule: one strand only (the training thread).
class Rprop final : public TorchOptimizer {
 public:
  using Options = RpropOptions;

  // Throws std::invalid_argument in torch's words.
  Rprop(std::vector<at::Tensor> params, const RpropOptions& options);
  std::string type_name() const override { return "Rprop"; }

 private:
  void update(const ParamGroup& group, std::vector<Item>& items) override;
};

}  // namespace lctl
