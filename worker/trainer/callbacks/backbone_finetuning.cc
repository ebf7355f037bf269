#include "worker/trainer/callbacks/backbone_finetuning.h"

#include <fmt/format.h>

#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/python_format.h"

namespace lctl {
namespace {

torch::nn::Module& backbone_of(TrainableModule& module) {
  const auto children = module_tree(module, "BackboneFinetuning").named_children();
  const auto* found = children.find("backbone");
  if (found != nullptr) return **found;
  throw std::runtime_error(
      fmt::format("BackboneFinetuning: '{}' object has no attribute 'backbone'. The "
                  "LightningModule should have "
                  "a nn.Module `backbone` attribute: give model.init_args.backbone, or "
                  "register_module(\"backbone\", …)",
                  module.type_name()));
}

// Python's round(value, digits).
double rounded(double value, std::int64_t digits) {
  return std::strtod(fmt::format("{:.{}f}", value, digits).c_str(), nullptr);
}

}  // namespace

BackboneFinetuning::BackboneFinetuning(BackboneFinetuningOptions options)
    : options_(std::move(options)) {}

checkpoint::Dict BackboneFinetuning::state_dict() {
  checkpoint::Dict state = BaseFinetuning::state_dict();
  state.set("previous_backbone_lr", previous_backbone_lr_
                                        ? checkpoint::Value(*previous_backbone_lr_)
                                        : checkpoint::Value());
  return state;
}

void BackboneFinetuning::load_state_dict(const checkpoint::Dict& state) {
  const checkpoint::Value& previous = state.at("previous_backbone_lr");
  previous_backbone_lr_.reset();
  if (!previous.is_none()) previous_backbone_lr_ = previous.as_double();
  BaseFinetuning::load_state_dict(state);
}

void BackboneFinetuning::freeze_before_training(TrainableModule& module) {
  freeze({backbone_of(module)});
}

void BackboneFinetuning::finetune_function(TrainableModule& module, std::int64_t epoch,
                                           Optimizer& optimizer) {
  if (epoch < options_.unfreeze_backbone_at_epoch) return;
  const double current_lr = optimizer.param_groups().front().lr;
  if (epoch == options_.unfreeze_backbone_at_epoch) {
    const double initial =
        options_.backbone_initial_lr.value_or(current_lr * options_.backbone_initial_ratio_lr);
    previous_backbone_lr_ = initial;
    unfreeze_and_add_param_group({backbone_of(module)}, optimizer, initial,
                                 options_.initial_denom_lr, options_.train_bn);
    return say(current_lr, initial);
  }
  if (!previous_backbone_lr_) {
    throw std::runtime_error(fmt::format(
        "BackboneFinetuning: training goes on at epoch {} and the backbone was to be unfrozen at "
        "epoch {}, but the checkpoint has no state of this callback with its learning rate. Resume "
        "from a checkpoint that was written with it, or unfreeze at a later epoch.",
        epoch, options_.unfreeze_backbone_at_epoch));
  }
  const double factor = options_.lambda_func ? options_.lambda_func(epoch + 1) : 2.0;
  const double next = factor * *previous_backbone_lr_;
  const double lr = options_.should_align && next > current_lr ? current_lr : next;
  optimizer.param_groups().back().lr = lr;
  previous_backbone_lr_ = lr;
  say(current_lr, lr);
}

void BackboneFinetuning::say(double current_lr, double backbone_lr) const {
  if (!options_.verbose) return;
  console::info(fmt::format("Current lr: {}, Backbone lr: {}",
                            python_repr(rounded(current_lr, options_.rounding)),
                            python_repr(rounded(backbone_lr, options_.rounding))));
}

}  // namespace lctl
