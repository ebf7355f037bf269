// The guide's first program: a model, a data module, callbacks, loggers, and a Trainer.
//
//   bazel run //examples/cpp:digits -- examples/data/digits.csv.gz --devices=2
//
// Trains 8x8 digits to 96% in some seconds, tests the best checkpoint, and loads it again.
#include <cstdlib>
#include <string>
#include <string_view>

#include "worker/trainer/data/formats/csv_reader.h"
#include "worker/trainer/lightning.h"

namespace L = lctl;
namespace nn = torch::nn;
namespace F = torch::nn::functional;

class DigitsDataModule : public L::LightningDataModule {
 public:
  explicit DigitsDataModule(const L::HParams& hparams) { save_hyperparameters(hparams); }

  // Runs on every rank: safe to assign members. prepare_data() is the place for downloads.
  void setup(std::string_view /*stage*/) override {
    if (train_data_ != nullptr) return;
    const auto path = hparams().get<std::string>("path");
    const at::Tensor table = L::read_csv(path).values;
    auto full = std::make_shared<L::TensorDataset>(std::vector<at::Tensor>{
        table.slice(1, 0, 64) / 16.0, table.select(1, 64).to(torch::kLong)});
    const auto parts = L::random_split(full, {0.8, 0.1, 0.1}, /*seed=*/42);
    train_data_ = parts[0];
    val_data_ = parts[1];
    test_data_ = parts[2];
  }

  std::shared_ptr<L::DataLoader> train_dataloader() override {
    return L::make_dataloader(train_data_, {.batch_size = hparams().get<std::int64_t>("batch_size"),
                                            .shuffle = true,
                                            .num_workers = 2});
  }
  std::vector<std::shared_ptr<L::DataLoader>> val_dataloader() override {
    return {L::make_dataloader(val_data_, {.batch_size = 180})};
  }
  std::vector<std::shared_ptr<L::DataLoader>> test_dataloader() override {
    return {L::make_dataloader(test_data_, {.batch_size = 180})};
  }

 private:
  std::shared_ptr<const L::Dataset> train_data_, val_data_, test_data_;
};

class LitDigits : public L::LightningModule {
 public:
  // What load_from_checkpoint calls with the hyper-parameters of the file.
  explicit LitDigits(const L::HParams& given) {
    save_hyperparameters(given);  // kept in checkpoints, shown by loggers
    const auto hidden = hparams().get<std::int64_t>("hidden_dim");
    model = register_module("model", nn::Sequential(nn::Linear(64, hidden), nn::ReLU(),
                                                    nn::Dropout(hparams().get<double>("dropout")),
                                                    nn::Linear(hidden, 10)));
    example_input_array = torch::zeros({1, 64});  // sizes in the summary, the graph in TensorBoard
  }

  at::Tensor forward(const at::Tensor& x) override { return model->forward(x); }

  L::StepOutput training_step(const L::Batch& batch, std::int64_t batch_idx) override {
    const auto [x, y] = batch.tensors<2>();
    const at::Tensor logits = forward(x);
    const at::Tensor loss = F::cross_entropy(logits, y);
    log_dict({{"train/loss", loss}, {"train/acc", accuracy(logits, y)}}, {.prog_bar = true});
    if (batch_idx % 100 == 0) {
      if (const auto tensorboard = logger_as<L::TensorBoardLogger>()) {
        tensorboard->experiment().add_image("input", x[0].view({1, 8, 8}), global_step());
        tensorboard->experiment().add_histogram("weights", model->parameters()[0], global_step());
      }
    }
    return loss;
  }

  L::StepOutput validation_step(const L::Batch& batch, std::int64_t, std::int64_t) override {
    return evaluate("val", batch);
  }
  L::StepOutput test_step(const L::Batch& batch, std::int64_t, std::int64_t) override {
    return evaluate("test", batch);
  }

  L::OptimizersConfig configure_optimizers() override {
    auto optimizer = L::adam_w(parameters(), {.lr = hparams().get<double>("lr"), .fused = true});
    auto scheduler = L::cosine_annealing_lr(*optimizer, /*t_max=*/20);
    return {std::move(optimizer), {.scheduler = std::move(scheduler), .interval = "epoch"}};
  }

  nn::Sequential model = nullptr;

 private:
  static at::Tensor accuracy(const at::Tensor& logits, const at::Tensor& y) {
    return (logits.argmax(-1) == y).to(torch::kFloat).mean();
  }

  // sync_dist: the mean over all ranks, not rank 0's.
  L::StepOutput evaluate(const std::string& stage, const L::Batch& batch) {
    const auto [x, y] = batch.tensors<2>();
    const at::Tensor logits = forward(x);
    const at::Tensor loss = F::cross_entropy(logits, y);
    log_dict({{stage + "/loss", loss}, {stage + "/acc", accuracy(logits, y)}},
             {.prog_bar = true, .sync_dist = true});
    return loss;
  }
};

int main(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : "examples/data/digits.csv.gz";
  std::int64_t devices = 1;
  if (argc > 2 && std::string_view(argv[2]).starts_with("--devices="))
    devices = std::atoll(argv[2] + 10);

  return L::run_program([&] {
    L::seed_everything(42, /*workers=*/true);
    LitDigits model({{"lr", 0.005}, {"hidden_dim", 128}, {"dropout", 0.1}});
    DigitsDataModule data({{"path", path}, {"batch_size", 32}});

    auto checkpoint = L::make<L::ModelCheckpoint>({.filename = "{epoch}-{step}",
                                                   .monitor = "val/loss",
                                                   .save_last = L::SaveLast::kYes,
                                                   .save_top_k = 2,
                                                   .mode = "min"});
    auto early_stopping = L::make<L::EarlyStopping>({.monitor = "val/loss", .patience = 5});
    auto lr_monitor = L::make<L::LearningRateMonitor>({.logging_interval = "epoch"});

    L::Trainer trainer(
        {.accelerator = "cpu",
         .devices = devices,
         .logger = {L::make<L::TensorBoardLogger>({.save_dir = "logs", .name = "tb"}),
                    L::make<L::CSVLogger>({.save_dir = "logs", .name = "csv"})},
         .callbacks = {checkpoint, early_stopping, lr_monitor},
         .max_epochs = 20,
         .log_every_n_steps = 10,
         .gradient_clip_val = 1.0});
    trainer.fit(model, &data);
    trainer.test(&data, "best");

    if (trainer.is_global_zero()) {
      auto best = L::load_from_checkpoint<LitDigits>(checkpoint->best_model_path());
      best->freeze();
      const at::Tensor digit = torch::zeros({1, 64});
      trainer.print("best checkpoint: " + checkpoint->best_model_path());
      trainer.print(
          "hidden_dim: " + std::to_string(best->hparams().get<std::int64_t>("hidden_dim")) +
          ", an empty image is taken for a " +
          std::to_string(best->forward(digit).argmax(-1).item<std::int64_t>()));
    }
  });
}
