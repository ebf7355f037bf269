// torch.optim.Adadelta.
#pragma once

#include <optional>

#include "worker/trainer/optim/torch_optimizer.h"

namespace lctl {

// torch's names and defaults.
struct AdadeltaOptions {
  double lr = 1.0;
  double rho = 0.9;
  double eps = 1e-6;
  double weight_decay = 0;
  bool maximize = false;
  std::optional<bool> foreach = std::nullopt;  // kept, without effect: one loop serves both
};

// Thread rule: one strand only (the training thread).
class Adadelta final : public TorchOptimizer {
 public:
  using Options = AdadeltaOptions;

  // Throws std::invalid_argument in torch's words.
  Adadelta(std::vector<at::Tensor> params, const AdadeltaOptions& options);
  std::string type_name() const override { return "Adadelta"; }

 private:
  void update(const ParamGroup& group, std::vector<Item>& items) override;
};

}  // namespace lctl
