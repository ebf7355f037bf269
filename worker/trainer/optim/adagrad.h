// torch.optim.Adagrad.
#pragma once

#include <optional>

#include "worker/trainer/optim/torch_optimizer.h"

namespace lctl {

// torch's names and defaults.
struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;
  double weight_decay = 0;
  double initial_accumulator_value = 0;
  double eps = 1e-10;
  bool maximize = false;
  std::optional<bool> foreach = std::nullopt;  // kept, without effect: one loop serves both
  std::optional<bool> fused = std::nullopt;    // true: ATen's one-pass kernel
};

// Its state exists from the start, also of parameters that never get a gradient.
// Thread rule: one strand only (the training thread).
class Adagrad final : public TorchOptimizer {
 public:
  using Options = AdagradOptions;

  // Throws std::invalid_argument in torch's words.
  Adagrad(std::vector<at::Tensor> params, const AdagradOptions& options);
  std::string type_name() const override { return "Adagrad"; }

 private:
  void update(const ParamGroup& group, std::vector<Item>& items) override;
};

}  // namespace lctl
