// The guide's chapter on finding mistakes: small runs, limits, NaN, ranks, hooks of one's own.
//
//   bazel run //examples/cpp:debugging -- fast_dev_run | overfit | limit | nan | ranks
#include <cmath>
#include <stdexcept>
#include <string>

#include "worker/trainer/lightning.h"

namespace L = lctl;
namespace nn = torch::nn;
namespace F = torch::nn::functional;

class LitRegressor : public L::LightningModule {
 public:
  explicit LitRegressor(double lr = 0.05) : lr_(lr) {
    net = register_module("net", nn::Sequential(nn::Linear(4, 32), nn::Tanh(), nn::Linear(32, 1)));
    example_input_array = torch::zeros({1, 4});
  }

  at::Tensor forward(const at::Tensor& x) override {
    // Shape assertions: cheap, and the message says what came.
    TORCH_CHECK(x.dim() == 2 && x.size(1) == 4, "Expected (B, 4), got ", x.sizes());
    return net->forward(x);
  }

  L::StepOutput training_step(const L::Batch& batch, std::int64_t batch_idx) override {
    const auto [x, y] = batch.tensors<2>();
    const at::Tensor loss = F::mse_loss(forward(x), y);
    if (check_nan && loss.isnan().item<bool>()) {  // waits for the device: for debugging only
      print("NaN detected at batch " + std::to_string(batch_idx));
      throw std::runtime_error("NaN loss at batch " + std::to_string(batch_idx));
    }
    log("train/loss", loss, {.prog_bar = true, .on_step = true, .on_epoch = true});
    return loss;
  }

  L::StepOutput validation_step(const L::Batch& batch, std::int64_t, std::int64_t) override {
    const auto [x, y] = batch.tensors<2>();
    log("val/loss", F::mse_loss(forward(x), y), {.sync_dist = true});
    return {};
  }

  L::OptimizersConfig configure_optimizers() override {
    return L::adam_w(parameters(), {.lr = lr_});
  }

  bool check_nan = false;
  nn::Sequential net = nullptr;

 private:
  double lr_;
};

// Data that the module brings itself need no data module; here one, with a sample that is NaN when
// asked for.
class WaveDataModule : public L::LightningDataModule {
 public:
  explicit WaveDataModule(bool with_nan = false) : with_nan_(with_nan) {}

  void setup(std::string_view) override {
    const at::Tensor x =
        torch::rand({256, 4}, at::make_generator<at::CPUGeneratorImpl>(/*seed=*/1));
    const at::Tensor y = (x * 3).sin().sum(1, /*keepdim=*/true);
    if (with_nan_) y[70] = NAN;
    data_ = std::make_shared<L::TensorDataset>(std::vector<at::Tensor>{x, y});
  }
  std::shared_ptr<L::DataLoader> train_dataloader() override {
    return L::make_dataloader(data_, {.batch_size = 16, .shuffle = !with_nan_});
  }
  std::vector<std::shared_ptr<L::DataLoader>> val_dataloader() override {
    return {L::make_dataloader(data_, {.batch_size = 64})};
  }

 private:
  bool with_nan_;
  std::shared_ptr<const L::Dataset> data_;
};

// A few batches of everything: finds crashes in seconds, writes nothing.
void fast_dev_run() {
  LitRegressor model;
  WaveDataModule data;
  L::Trainer trainer({.accelerator = "cpu", .fast_dev_run = 5});
  trainer.fit(model, &data);
  trainer.print("fast_dev_run: " + std::to_string(trainer.global_step()) + " steps");
}

// A model that cannot overfit a few batches will not learn from more.
void overfit() {
  LitRegressor model(0.02);
  WaveDataModule data;
  L::Trainer trainer({.accelerator = "cpu",
                      .logger = false,
                      .max_epochs = 1500,
                      .overfit_batches = std::int64_t{2},
                      .enable_checkpointing = false,
                      .enable_progress_bar = false});
  trainer.fit(model, &data);
  trainer.print("overfit: train/loss " +
                std::to_string(trainer.callback_metrics().find("train/loss")->number()));
}

// A tenth of the data, and a function that runs after each epoch.
void limit() {
  LitRegressor model;
  WaveDataModule data;
  auto report = std::make_shared<L::LambdaCallback>(
      L::LambdaCallback::Hooks{.on_train_epoch_end = [](L::Trainer& trainer, L::TrainableModule&) {
        trainer.print("limit: epoch " + std::to_string(trainer.current_epoch()) + " after step " +
                      std::to_string(trainer.global_step()));
      }});
  L::Trainer trainer({.accelerator = "cpu",
                      .logger = false,
                      .callbacks = {report},
                      .max_epochs = 2,
                      .limit_train_batches = 0.25,
                      .limit_val_batches = std::int64_t{1},
                      .enable_checkpointing = false,
                      .enable_progress_bar = false});
  trainer.fit(model, &data);
}

// detect_anomaly names the operation whose backward made the NaN; own checks can say more.
void nan() {
  LitRegressor model;
  model.check_nan = true;
  WaveDataModule data(/*with_nan=*/true);
  L::Trainer trainer({.accelerator = "cpu",
                      .logger = false,
                      .max_epochs = 1,
                      .num_sanity_val_steps = 0,
                      .enable_checkpointing = false,
                      .enable_progress_bar = false,
                      .detect_anomaly = true});
  trainer.fit(model, &data);
}

// Two processes: who am I, and waiting for each other.
void ranks() {
  LitRegressor model;
  WaveDataModule data;
  auto hello = std::make_shared<L::LambdaCallback>(
      L::LambdaCallback::Hooks{.on_train_start = [](L::Trainer& trainer, L::TrainableModule&) {
        std::printf("ranks: rank %d of %d\n", trainer.global_rank(), trainer.world_size());
        std::fflush(stdout);
        trainer.strategy().barrier();
        trainer.print("ranks: all are here");
      }});
  L::Trainer trainer({.accelerator = "cpu",
                      .strategy = "ddp",
                      .devices = std::int64_t{2},
                      .logger = false,
                      .callbacks = {hello},
                      .max_epochs = 1,
                      .enable_checkpointing = false,
                      .enable_progress_bar = false});
  trainer.fit(model, &data);
}

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "fast_dev_run";
  return L::run_program([&] {
    L::seed_everything(42);
    if (what == "fast_dev_run") return fast_dev_run();
    if (what == "overfit") return overfit();
    if (what == "limit") return limit();
    if (what == "nan") return nan();
    if (what == "ranks") return ranks();
    throw std::invalid_argument("unknown example '" + what +
                                "'; there are fast_dev_run, overfit, limit, nan, ranks");
  });
}
