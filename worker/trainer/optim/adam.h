// torch.optim.Adam and torch.optim.AdamW.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "worker/trainer/optim/torch_optimizer.h"

namespace lctl {

// torch's names; defaults are Adam's (AdamW: weight_decay 0.01, decoupled).
struct AdamOptions {
  double lr = 1e-3;
  std::pair<double, double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false;
  bool maximize = false;
  bool capturable = false;
  bool decoupled_weight_decay = false;
  std::optional<bool> foreach = std::nullopt;  // kept, without effect: one loop serves both
  std::optional<bool> fused = std::nullopt;    // true: ATen's one-pass kernel
};

// Thread rule: one strand only (the training thread).
class Adam final : public TorchOptimizer {
 public:
  using Options = AdamOptions;

  // `name` is "Adam" or "AdamW": the class that a job file names. Throws std::invalid_argument in
  // torch's words.
  Adam(std::vector<at::Tensor> params, const AdamOptions& options, std::string name = "Adam");
  std::string type_name() const override { return name_; }

 private:
  struct Rates;
  void update(const ParamGroup& group, std::vector<Item>& items) override;
  void update_fused(const Rates& rates, const std::vector<Item>& items);
  static void update_one(const Rates& rates, Item& item);

  std::string name_;
};

// Adam with torch.optim.AdamW's name and decoupled decay.
std::unique_ptr<Adam> adam_w(std::vector<at::Tensor> params, AdamOptions options);

}  // namespace lctl
