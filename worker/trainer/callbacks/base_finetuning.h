// Lightning's BaseFinetuning: parts of a model that begin to learn later than the rest.
//
//   class Finetune : public lctl::BaseFinetuning {
//     void freeze_before_training(lctl::TrainableModule& module) override {
//       freeze({*static_cast<Model&>(module).features});
//     }
//     void finetune_function(lctl::TrainableModule& module, std::int64_t epoch,
//                            lctl::Optimizer& optimizer) override {
//       if (epoch == 10) unfreeze_and_add_param_group({*static_cast<Model&>(module).features},
//       optimizer);
//     }
//   };
#pragma once

#include <torch/nn/module.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/optim/optimizer.h"

namespace lctl {

// Freezes in setup, before configure_optimizers, which should give the optimizer only the
// parameters that need a gradient; calls finetune_function at the start of each epoch for each
// optimizer. Its state is Lightning's `internal_optimizer_metadata`: a resumed run has the same
// parameter groups.
//
// Resuming: an exact resume goes on with what was unfrozen. Lightning's own resume freezes again
// whatever was unfrozen in an earlier epoch and leaves it so; with `job: {resume: lightning}` and
// files from Python this class does the same, and says so. DDP averages only what needed a gradient
// when training began; Lightning then lets the ranks drift apart, here DDP is set up anew.
// Thread rule: one strand only (the training thread).
class BaseFinetuning : public Callback {
 public:
  virtual void freeze_before_training(TrainableModule& module) = 0;
  virtual void finetune_function(TrainableModule& module, std::int64_t epoch,
                                 Optimizer& optimizer) = 0;

  checkpoint::Dict state_dict() override;
  void load_state_dict(const checkpoint::Dict& state) override;
  void setup(Trainer& trainer, TrainableModule& module, std::string_view stage) override;
  void on_fit_start(Trainer& trainer, TrainableModule& module) override;
  void on_train_start(Trainer& trainer, TrainableModule& module) override;
  void on_train_epoch_start(Trainer& trainer, TrainableModule& module) override;

  // ---- for the two functions above; modules include all below them
  using Modules = std::vector<std::reference_wrapper<torch::nn::Module>>;

  // Those without children, and those that have parameters of their own; each once.
  static Modules flatten_modules(const Modules& modules);
  // Their parameters with that requires_grad; without train_bn not those of batch normalisations.
  static std::vector<at::Tensor> filter_params(const Modules& modules, bool train_bn = true,
                                               bool requires_grad = true);
  // Those that the optimizer does not have, with a warning for the others. As in Lightning a
  // parameter counts as there when the optimizer has one with equal values.
  static std::vector<at::Tensor> filter_on_optimizer(Optimizer& optimizer,
                                                     const std::vector<at::Tensor>& params);

  // A frozen batch normalisation normalises with the batch's statistics in training and keeps its
  // running ones as they are. freeze() leaves it trainable with train_bn.
  void freeze(const Modules& modules, bool train_bn = true);
  void freeze_module(torch::nn::Module& module);
  void make_trainable(const Modules& modules);

  // Makes the modules trainable and adds their parameters to the optimizer as one more group. Rate:
  // `lr`, or that of the first group divided by initial_denom_lr.
  void unfreeze_and_add_param_group(const Modules& modules, Optimizer& optimizer,
                                    std::optional<double> lr = std::nullopt,
                                    double initial_denom_lr = 10.0, bool train_bn = true);

 private:
  void store(TrainableModule& module, std::size_t optimizer, std::size_t groups_before,
             const std::vector<ParamGroup>& groups);
  void restore_groups(Trainer& trainer, TrainableModule& module);
  void warn_of_what_stays_frozen(Trainer& trainer) const;

  // {index of the optimizer: [its groups, with the parameters' names]}
  checkpoint::Dict metadata_;
  bool restarting_ = false;
  bool added_groups_ = false;  // the state brought groups that configure_optimizers does not make
  // Of frozen batch normalisations: the momentum that they had.
  std::map<torch::nn::Module*, std::optional<double>> frozen_statistics_;
};

// torch::nn::Module of the one that is trained. Throws std::runtime_error when it is none.
torch::nn::Module& module_tree(TrainableModule& module, std::string_view callback);

}  // namespace lctl
