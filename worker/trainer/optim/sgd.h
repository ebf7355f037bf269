// torch.optim.SGD.
#pragma once

#include <optional>

#include "worker/trainer/optim/torch_optimizer.h"

namespace lctl {

// torch's names and defaults.
struct SgdOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
  bool maximize = false;
  std::optional<bool> foreach = std::nullopt;  // kept, without effect: one loop serves both
  std::optional<bool> fused = std::nullopt;    // true: ATen's one-pass kernel
};

// Thread rule: one strand only (the training thread).
class SGD final : public TorchOptimizer {
 public:
  using Options = SgdOptions;

  // Throws std::invalid_argument in torch's words.
  SGD(std::vector<at::Tensor> params, const SgdOptions& options);
  std::string type_name() const override { return "SGD"; }

 private:
  struct Rates;
  void update(const ParamGroup& group, std::vector<Item>& items) override;
  void update_fused(const Rates& rates, const std::vector<Item>& items, bool first);
  static void update_one(const Rates& rates, Item& item);
};

}  // namespace lctl
