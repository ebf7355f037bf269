// The class that users subclass: a torch::nn::Module with Lightning's steps and hooks.
//
//   class Mlp : public lctl::LightningModule {
//    public:
//     explicit Mlp(const lctl::HParams& hparams) {
//       save_hyperparameters(hparams);
//       net = register_module("net", torch::nn::Linear(8, hparams.get<int>("classes")));
//     }
//     at::Tensor forward(const at::Tensor& x) override { return net->forward(x); }
//     lctl::StepOutput training_step(const lctl::Batch& batch, std::int64_t) override {
//       const auto [x, y] = batch.tensors<2>();
//       const at::Tensor loss = torch::nn::functional::cross_entropy(forward(x), y);
//       log("train/loss", loss, {.prog_bar = true});
//       return loss;
//     }
//     lctl::OptimizersConfig configure_optimizers() override {
//       return lctl::adam_w(parameters(), {.lr = hparams().get<double>("lr")});
//     }
//     torch::nn::Linear net = nullptr;
//   };
//
// Expensive to include (torch/nn/module.h): parts of the trainer include core/trainable_module.h.
#pragma once

#include <torch/nn/module.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/trainer/core/lightning_optimizer.h"
#include "worker/trainer/core/trainable_module.h"

namespace lctl {

class Logger;
class LRScheduler;

// All hooks are those of TrainableModule; this class adds the state of an nn::Module, and what
// Lightning's modules may ask of the run that they are in. The latter throw std::logic_error before
// a Trainer has the module.
// Thread rule: one strand only (the training thread).
class LightningModule : public torch::nn::Module, public TrainableModule {
 public:
  // Summaries and error messages show the name of the class, or `class_name`.
  LightningModule() = default;
  explicit LightningModule(std::string class_name);
  ~LightningModule() override;

  // Inference. The default throws and says what to override; models of several inputs replace
  // call() instead. Not used by training_step unless that calls it.
  virtual at::Tensor forward(const at::Tensor& input);
  Batch call(const Batch& input) override;

  // ---- of the run
  std::int64_t current_epoch() const;
  std::int64_t global_step() const;
  int global_rank() const;
  int local_rank() const;
  // The first logger; null when there is none (and on ranks that do not write).
  std::shared_ptr<Logger> logger() const;
  std::vector<std::shared_ptr<Logger>> loggers() const;
  // The first logger as its own class, to log images and the like: logger_as<TensorBoardLogger>().
  // Null when it is of another class.
  template <typename T>
  std::shared_ptr<T> logger_as() const {
    return std::dynamic_pointer_cast<T>(logger());
  }
  // One line on stdout, on rank 0 only.
  void print(std::string_view text) const;
  // Those tensors of all ranks, stacked along a new first dimension [world_size, ...]; of one rank
  // the tensor itself. All ranks call it, with equal shapes. No gradients.
  at::Tensor all_gather(const at::Tensor& tensor) const;

  // ---- manual optimisation: set_automatic_optimization(false), then in training_step
  //   auto opt = optimizers()[0]; opt.zero_grad(); manual_backward(loss); opt.step();
  std::vector<LightningOptimizer> optimizers() const;
  // Stepped by the user: lr_schedulers()[0]->step(nullptr).
  std::vector<LRScheduler*> lr_schedulers() const;
  void manual_backward(const at::Tensor& loss);
  void clip_gradients(LightningOptimizer& optimizer, double gradient_clip_val,
                      ClipAlgorithm algorithm = ClipAlgorithm::kNorm);
  // Between the two only that optimizer's parameters have gradients (GANs).
  void toggle_optimizer(LightningOptimizer& optimizer);
  void untoggle_optimizer(LightningOptimizer& optimizer);

  // No parameter has a gradient, and the module is in evaluation mode / the reverse.
  void freeze();
  void unfreeze();

  // ---- state
  std::vector<NamedTensor> parameter_list() const override;
  std::vector<NamedTensor> state_list() const override;
  checkpoint::Dict state_dict() const override;
  void load_state_dict(const checkpoint::Dict& state, bool strict) override;
  std::vector<SubmoduleDescription> describe_submodules() const override;
  std::string type_name() const override;
  void set_training(bool on) override { torch::nn::Module::train(on); }
  std::vector<bool> training_flags() const override;
  void set_training_flags(const std::vector<bool>& flags) override;
  void move_to(c10::Device device, std::optional<c10::ScalarType> dtype) override;
  bool has_batch_norm() const override;
  void begin_statistics(bool from_zero) override;
  void end_statistics() override;

 private:
  Trainer& run() const;

  std::vector<std::optional<double>> momenta_;        // of the batch norms, between begin and end
  std::vector<std::pair<at::Tensor, bool>> toggled_;  // parameters, and whether they had gradients
};

}  // namespace lctl
