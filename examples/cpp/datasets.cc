// Data sets of one's own: anything with size() and get(index) is one, loaded by threads.
//
//   bazel run //examples/cpp:datasets
//
// Two interleaved half moons, drawn as they are needed and jittered by the loader's workers: the
// same batches whatever their number.
#include <cmath>
#include <cstdio>
#include <numbers>

#include "worker/trainer/lightning.h"

namespace L = lctl;
namespace nn = torch::nn;
namespace F = torch::nn::functional;

// Called by several threads at once, so it only reads. All that is random comes from `random`: a
// global generator would give other batches for another number of workers.
struct HalfMoons {
  std::int64_t samples = 0;
  double jitter = 0;

  std::int64_t size() const { return samples; }

  L::Batch get(std::int64_t index, L::RandomStream& random) const {
    const std::int64_t label = index % 2;
    const double angle = std::numbers::pi * random.uniform();
    double x = label == 0 ? std::cos(angle) : 1 - std::cos(angle);
    double y = label == 0 ? std::sin(angle) : 0.5 - std::sin(angle);
    x += jitter * random.uniform(-1, 1);
    y += jitter * random.uniform(-1, 1);
    return L::Batch::List{torch::tensor({x, y}, torch::kFloat), torch::tensor(label)};
  }
};

class LitMoons : public L::LightningModule {
 public:
  LitMoons() {
    model =
        register_module("model", nn::Sequential(nn::Linear(2, 32), nn::ReLU(), nn::Linear(32, 2)));
  }
  at::Tensor forward(const at::Tensor& x) override { return model->forward(x); }

  L::StepOutput training_step(const L::Batch& batch, std::int64_t) override {
    const auto [x, y] = batch.tensors<2>();
    return F::cross_entropy(forward(x), y);
  }
  L::StepOutput validation_step(const L::Batch& batch, std::int64_t, std::int64_t) override {
    const auto [x, y] = batch.tensors<2>();
    log("val/acc", (forward(x).argmax(-1) == y).to(torch::kFloat).mean());
    return {};
  }
  L::OptimizersConfig configure_optimizers() override {
    return L::make_optimizer<L::Adam>(parameters(), {.lr = 0.02});
  }

  nn::Sequential model = nullptr;
};

// Lightning's data module: what is cheap in the constructor, what is not in setup().
class Moons : public L::LightningDataModule {
 public:
  void setup(std::string_view /*stage*/) override {
    train_ = L::make_dataset(HalfMoons{.samples = 2000, .jitter = 0.2});
    val_ = L::make_dataset(HalfMoons{.samples = 500});
  }
  std::shared_ptr<L::DataLoader> train_dataloader() override {
    return L::make_dataloader(train_, {.batch_size = 50, .shuffle = true, .num_workers = 2});
  }
  std::vector<std::shared_ptr<L::DataLoader>> val_dataloader() override {
    return {L::make_dataloader(val_, {.batch_size = 250, .num_workers = L::kAutoWorkers})};
  }

 private:
  std::shared_ptr<const L::Dataset> train_, val_;
};

int main() {
  return L::run_program([] {
    L::seed_everything(1);
    LitMoons model;
    Moons data;
    L::Trainer trainer({.accelerator = "cpu", .max_epochs = 8});
    trainer.fit(model, &data);
    std::printf("val/acc: %.3f\n", trainer.callback_metrics().find("val/acc")->number());
  });
}
