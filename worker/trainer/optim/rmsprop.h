// torch.optim.RMSprop.
#pragma once

#include <optional>

#include "worker/trainer/optim/torch_optimizer.h"

namespace lctl {

// torch's names and defaults.
struct RmspropOptions {
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;
  bool capturable = false;
  bool maximize = false;
  std::optional<bool> foreach = std::nullopt;  // kept, without effect: one loop serves both
};

// Thread rule: one strand only (the training thread).
class RMSprop final : public TorchOptimizer {
 public:
  using Options = RmspropOptions;

  // Throws std::invalid_argument in torch's words.
  RMSprop(std::vector<at::Tensor> params, const RmspropOptions& options);
  std::string type_name() const override { return "RMSprop"; }

 private:
  void update(const ParamGroup& group, std::vector<Item>& items) override;
};

}  // namespace lctl
