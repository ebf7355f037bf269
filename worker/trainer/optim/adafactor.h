// torch.optim.Adafactor.
#pragma once

#include <optional>

#include "worker/trainer/optim/torch_optimizer.h"

namespace lctl {

// torch's names and defaults.
struct AdafactorOptions {
  double lr = 0.01;
  double beta2_decay = -0.8;
  std::optional<double> eps1 = std::nullopt;  // unset: the smallest step of the parameter's type
  double eps2 = 1e-3;
  double d = 1.0;
  double weight_decay = 0;
  bool maximize = false;
  std::optional<bool> foreach = std::nullopt;  // kept, without effect: one loop serves both
};

// Keeps the second moment of a matrix as one row and one column. Thread rule: one strand only (the
// training thread).
class Adafactor final : public TorchOptimizer {
 public:
  // Throws std::invalid_argument in torch's words.
  Adafactor(std::vector<at::Tensor> params, const AdafactorOptions& options);
  std::string type_name() const override { return "Adafactor"; }

 private:
  void update(const ParamGroup& group, std::vector<Item>& items) override;
};

}  // namespace lctl
