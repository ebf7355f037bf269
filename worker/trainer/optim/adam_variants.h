// torch.optim.Adamax, NAdam and RAdam.
#pragma once

#include <optional>
#include <utility>

#include "worker/trainer/optim/torch_optimizer.h"

namespace lctl {

// What the three share, with torch's names; lr's default is that of NAdam and Adamax (RAdam: 1e-3).
struct AdamVariantOptions {
  double lr = 2e-3;
  std::pair<double, double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum_decay = 4e-3;         // NAdam
  bool decoupled_weight_decay = false;  // NAdam, RAdam
  bool maximize = false;
  std::optional<bool> foreach = std::nullopt;  // kept, without effect: one loop serves both
};

// Adam with the infinity norm. Thread rule: one strand only (the training thread).
class Adamax final : public TorchOptimizer {
 public:
  using Options = AdamVariantOptions;

  // Throws std::invalid_argument in torch's words.
  Adamax(std::vector<at::Tensor> params, const AdamVariantOptions& options);
  std::string type_name() const override { return "Adamax"; }

 private:
  void update(const ParamGroup& group, std::vector<Item>& items) override;
};

// Adam with Nesterov momentum. Thread rule: one strand only (the training thread).
class NAdam final : public TorchOptimizer {
 public:
  using Options = AdamVariantOptions;

  // Throws std::invalid_argument in torch's words.
  NAdam(std::vector<at::Tensor> params, const AdamVariantOptions& options);
  std::string type_name() const override { return "NAdam"; }

 private:
  void update(const ParamGroup& group, std::vector<Item>& items) override;
};

// Adam that rectifies the variance of its first steps. Thread rule: one strand only (the training
// thread).
class RAdam final : public TorchOptimizer {
 public:
  using Options = AdamVariantOptions;

  // Throws std::invalid_argument in torch's words.
  RAdam(std::vector<at::Tensor> params, const AdamVariantOptions& options);
  std::string type_name() const override { return "RAdam"; }

 private:
  void update(const ParamGroup& group, std::vector<Item>& items) override;
};

}  // namespace lctl
