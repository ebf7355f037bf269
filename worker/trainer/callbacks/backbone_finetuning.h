// Lightning's BackboneFinetuning: a pretrained part begins to learn at a given epoch, slowly at
// first.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "worker/trainer/callbacks/base_finetuning.h"

namespace lctl {

struct BackboneFinetuningOptions {
  std::int64_t unfreeze_backbone_at_epoch = 10;
  // Factor of the backbone's rate for the epoch after that number; null = always 2.
  std::function<double(std::int64_t)> lambda_func;
  double backbone_initial_ratio_lr = 0.1;     // first rate, as a share of the first group's
  std::optional<double> backbone_initial_lr;  // first rate, instead
  bool should_align = true;                   // not above the first group's rate
  double initial_denom_lr = 10.0;             // without effect, as in Lightning: a rate is given
  bool train_bn = true;                       // batch normalisations join the new group
  bool verbose = false;
  std::int64_t rounding = 12;  // digits that verbose prints
};

// The backbone is the module's child of that name. As in Lightning its batch normalisations learn
// from the start. Throws std::runtime_error in setup when there is no such child. Thread rule: one
// strand only (the training thread).
class BackboneFinetuning final : public BaseFinetuning {
 public:
  explicit BackboneFinetuning(BackboneFinetuningOptions options);

  std::string type_name() const override { return "BackboneFinetuning"; }
  checkpoint::Dict state_dict() override;
  void load_state_dict(const checkpoint::Dict& state) override;
  void freeze_before_training(TrainableModule& module) override;
  void finetune_function(TrainableModule& module, std::int64_t epoch,
                         Optimizer& optimizer) override;

 private:
  void say(double current_lr, double backbone_lr) const;

  const BackboneFinetuningOptions options_;
  std::optional<double> previous_backbone_lr_;
};

}  // namespace lctl
