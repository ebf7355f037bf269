// Two ranks, of which the second changes a parameter of its own after the seventh step, as a broken
// device would. ReplicaCheck looks every fifth step: training must fail at the tenth.
#include <torch/nn/modules/linear.h>

#include "worker/trainer/lightning.h"

namespace L = lctl;

namespace {

class Module : public L::LightningModule {
 public:
  Module() {
    first = register_module("first", torch::nn::Linear(4, 4));
    second = register_module("second", torch::nn::Linear(4, 1));
  }
  L::StepOutput training_step(const L::Batch& batch, std::int64_t) override {
    return second->forward(first->forward(batch[0].tensor())).square().mean();
  }
  std::shared_ptr<L::DataLoader> train_dataloader() override {
    return L::make_dataloader(
        std::make_shared<L::TensorDataset>(std::vector<at::Tensor>{torch::ones({64, 4})}));
  }
  L::OptimizersConfig configure_optimizers() override {
    return L::make_optimizer<L::SGD>(parameters(), {.lr = 1e-3});
  }
  torch::nn::Linear first{nullptr};
  torch::nn::Linear second{nullptr};
};

class BrokenDevice : public L::Callback {
 public:
  std::string type_name() const override { return "BrokenDevice"; }
  void on_train_batch_end(L::Trainer& trainer, L::TrainableModule& module, const L::StepOutput&,
                          const L::Batch&, std::int64_t) override {
    if (trainer.global_step() != 7 || trainer.strategy().layout().global_rank != 1) return;
    const at::NoGradGuard no_grad;
    at::Tensor bias = module.parameter_list()[3].tensor;
    bias.add_(1);
  }
};

}  // namespace

int main() {
  return L::run_program([] {
    Module module;
    L::Trainer trainer(
        {.accelerator = "cpu",
         .devices = std::int64_t{2},
         .logger = false,
         .callbacks = {std::make_shared<BrokenDevice>(), std::make_shared<L::ReplicaCheck>(5)},
         .max_epochs = 1,
         .enable_checkpointing = false,
         .enable_progress_bar = false,
         .enable_model_summary = false});
    trainer.fit(module);
  });
}
