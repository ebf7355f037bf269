// torch.optim.Muon.
#pragma once

#include <array>
#include <optional>

#include "worker/trainer/optim/torch_optimizer.h"

namespace lctl {

// torch's names and defaults.
struct MuonOptions {
  double lr = 1e-3;
  double weight_decay = 0.1;
  double momentum = 0.95;
  bool nesterov = true;
  std::array<double, 3> ns_coefficients = {3.4445, -4.7750, 2.0315};
  double eps = 1e-7;
  std::int64_t ns_steps = 5;
  std::optional<std::string> adjust_lr_fn = std::nullopt;  // "original" or "match_rms_adamw"
};

// Steps along the momentum, made orthogonal in bfloat16. Takes matrices only, so that a model needs
// `bias: false` everywhere. Thread rule: one strand only (the training thread).
class Muon final : public TorchOptimizer {
 public:
  // Throws std::invalid_argument in torch's words.
  Muon(std::vector<at::Tensor> params, const MuonOptions& options);
  std::string type_name() const override { return "Muon"; }

 private:
  void update(const ParamGroup& group, std::vector<Item>& items) override;
};

}  // namespace lctl
