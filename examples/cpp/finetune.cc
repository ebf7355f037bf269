// The guide's fine-tuning recipe: a pretrained backbone, frozen at first, then unfrozen; tuning of
// learning rate and batch size; memory saved by recomputation.
//
//   bazel run //examples/cpp:finetune
#include <string>

#include "worker/trainer/lightning.h"

namespace L = lctl;
namespace nn = torch::nn;
namespace F = torch::nn::functional;

// Classes are areas of a four-dimensional space, told by a random but fixed teacher; `shift` makes
// another task of the same kind.
class TeacherDataModule : public L::LightningDataModule {
 public:
  explicit TeacherDataModule(double shift) : shift_(shift) {}

  void setup(std::string_view) override {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(/*seed=*/3);
    const at::Tensor x = torch::randn({2048, 16}, generator);
    const at::Tensor teacher = torch::randn({16, 4}, generator);
    const at::Tensor y = ((x + shift_).matmul(teacher)).argmax(1);
    const auto whole = std::make_shared<L::TensorDataset>(std::vector<at::Tensor>{x, y});
    const auto parts = L::random_split(whole, {0.8, 0.2}, /*seed=*/42);
    train_ = parts[0];
    val_ = parts[1];
  }
  std::shared_ptr<L::DataLoader> train_dataloader() override {
    return L::make_dataloader(train_, {.batch_size = batch_size_, .shuffle = true});
  }
  std::vector<std::shared_ptr<L::DataLoader>> val_dataloader() override {
    return {L::make_dataloader(val_, {.batch_size = 512})};
  }

  // What Tuner::scale_batch_size changes.
  std::int64_t batch_size() const override { return batch_size_; }
  void set_batch_size(std::int64_t size) override { batch_size_ = size; }

 private:
  double shift_;
  std::int64_t batch_size_ = 32;
  std::shared_ptr<const L::Dataset> train_, val_;
};

class FineTunedModel : public L::LightningModule {
 public:
  explicit FineTunedModel(const L::HParams& hparams) {
    save_hyperparameters(hparams);
    backbone = register_module(
        "backbone", nn::Sequential(nn::Linear(16, 64), nn::ReLU(), nn::Linear(64, 64), nn::ReLU()));
    head = register_module("head", nn::Linear(64, 4));
  }

  at::Tensor forward(const at::Tensor& x) override {
    // Recomputed in the backward pass: its activations need no memory until then.
    const at::Tensor features =
        L::activation_checkpoint([this](const at::Tensor& in) { return backbone->forward(in); }, x);
    return head->forward(features);
  }

  L::StepOutput training_step(const L::Batch& batch, std::int64_t) override {
    const auto [x, y] = batch.tensors<2>();
    const at::Tensor loss = F::cross_entropy(forward(x), y);
    log("train/loss", loss, {.prog_bar = true});
    return loss;
  }
  L::StepOutput validation_step(const L::Batch& batch, std::int64_t, std::int64_t) override {
    const auto [x, y] = batch.tensors<2>();
    log("val/acc", (forward(x).argmax(1) == y).to(torch::kFloat).mean(), {.prog_bar = true});
    return {};
  }

  // Only what may be trained; unfreeze first, then fit again for the rest.
  L::OptimizersConfig configure_optimizers() override {
    std::vector<at::Tensor> trainable;
    for (const at::Tensor& parameter : parameters()) {
      if (parameter.requires_grad()) trainable.push_back(parameter);
    }
    return L::adam_w(trainable, {.lr = hparams().get<double>("lr"), .fused = true});
  }

  void set_backbone_trainable(bool on) {
    for (at::Tensor& parameter : backbone->parameters()) parameter.set_requires_grad(on);
  }

  nn::Sequential backbone = nullptr;
  nn::Linear head = nullptr;
};

L::TrainerOptions options(std::int64_t max_epochs, const std::string& name) {
  return {.accelerator = "cpu",
          .precision = "bf16-mixed",
          .logger = L::make<L::CSVLogger>({.save_dir = "logs", .name = name}),
          .max_epochs = max_epochs,
          .enable_progress_bar = false,
          .enable_model_summary = false,
          .accumulate_grad_batches = 2};
}

double accuracy(L::Trainer& trainer) {
  return trainer.callback_metrics().find("val/acc")->number();
}

int main() {
  return L::run_program([] {
    L::seed_everything(1);

    // Pretrain, with a learning rate and a batch size that were searched for.
    FineTunedModel first({{"lr", 1e-3}});
    TeacherDataModule task(0.0);
    {
      L::Trainer trainer(options(4, "search"));
      L::Tuner tuner(trainer);
      if (const auto found = tuner.lr_find(first, &task, {.min_lr = 1e-4, .max_lr = 0.1})) {
        if (const auto lr = found->suggestion()) first.hparams().set("lr", *lr);
      }
      trainer.print("learning rate: " + std::to_string(first.hparams().get<double>("lr")));
      tuner.scale_batch_size(first, &task, {.mode = "power", .max_trials = 3});
    }
    L::Trainer pretraining(options(12, "pretraining"));
    pretraining.fit(first, &task);
    pretraining.save_checkpoint("backbone.ckpt", /*weights_only=*/true);
    pretraining.print("pretrained: val/acc " + std::to_string(accuracy(pretraining)));

    // Another task: the head alone, then everything with a tenth of the rate.
    TeacherDataModule other(0.3);
    auto model =
        L::load_from_checkpoint<FineTunedModel>("backbone.ckpt", {.hparams = {{"lr", 1e-2}}});
    model->set_backbone_trainable(false);
    L::Trainer head_only(options(4, "head"));
    head_only.fit(*model, &other);
    head_only.print("head only: val/acc " + std::to_string(accuracy(head_only)));

    model->set_backbone_trainable(true);
    model->hparams().set("lr", 1e-3);
    L::Trainer everything(options(8, "everything"));
    everything.fit(*model, &other);
    everything.print("everything: val/acc " + std::to_string(accuracy(everything)));
  });
}
