// The class that users subclass: a torch::nn::Module with Lightning's steps and hooks.
//
//   class Mlp : public lctl::LightningModule {
//    public:
//     Mlp() { net_ = register_module("net", torch::nn::Sequential(torch::nn::Linear(8, 4))); }
//     lctl::StepOutput training_step(const lctl::Batch& batch, std::int64_t) override {
//       auto loss = torch::nn::functional::cross_entropy(net_->forward(batch[0].tensor()),
//       batch[1].tensor()); log("train/loss", loss); return loss;
//     }
//     …
//   };
//
// Expensive to include (torch/nn/module.h): parts of the trainer include core/trainable_module.h.
#pragma once

#include <torch/nn/module.h>

#include "worker/trainer/core/trainable_module.h"

namespace lctl {

// All hooks are those of TrainableModule; this class adds the state of an nn::Module.
// Thread rule: one strand only (the training thread).
class LightningModule : public torch::nn::Module, public TrainableModule {
 public:
  // `class_name` is the name that summaries and error messages show.
  explicit LightningModule(std::string class_name);
  ~LightningModule() override;

  std::vector<NamedTensor> parameter_list() const override;
  std::vector<NamedTensor> state_list() const override;
  checkpoint::Dict state_dict() const override;
  void load_state_dict(const checkpoint::Dict& state, bool strict) override;
  std::vector<SubmoduleDescription> describe_submodules() const override;
  std::string type_name() const override { return torch::nn::Module::name(); }
  void set_training(bool on) override { torch::nn::Module::train(on); }
  std::vector<bool> training_flags() const override;
  void set_training_flags(const std::vector<bool>& flags) override;
  void move_to(c10::Device device, std::optional<c10::ScalarType> dtype) override;
  bool has_batch_norm() const override;
  void begin_statistics(bool from_zero) override;
  void end_statistics() override;

 private:
  std::vector<std::optional<double>> momenta_;  // of the batch norms, between begin and end
};

}  // namespace lctl
