// torch.optim.ASGD: stochastic gradient descent that also averages its parameters.
#pragma once

#include <optional>

#include "worker/trainer/optim/torch_optimizer.h"

namespace lctl {

// torch's names and defaults.
struct AsgdOptions {
  double lr = 1e-2;
  double lambd = 1e-4;
  double alpha = 0.75;
  double t0 = 1e6;
  double weight_decay = 0;
  bool maximize = false;
  std::optional<bool> foreach = std::nullopt;  // kept, without effect: one loop serves both
};

// Thread rule: one strand only (the training thread).
class ASGD final : public TorchOptimizer {
 public:
  using Options = AsgdOptions;

  // Throws std::invalid_argument in torch's words.
  ASGD(std::vector<at::Tensor> params, const AsgdOptions& options);
  std::string type_name() const override { return "ASGD"; }

 private:
  void update(const ParamGroup& group, std::vector<Item>& items) override;
};

}  // namespace lctl
