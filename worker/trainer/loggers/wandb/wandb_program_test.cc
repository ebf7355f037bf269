// WandbLogger in a program of one's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "worker/trainer/lightning.h"
#include "worker/trainer/loggers/wandb/testing/record_reader.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;
namespace nn = torch::nn;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using wandb::records::Record;

std::shared_ptr<DataLoader> line_loader() {
  const at::Tensor x = torch::arange(8, torch::kFloat).view({8, 1});
  return make_dataloader(std::make_shared<TensorDataset>(std::vector<at::Tensor>{x, 2 * x}),
                         {.batch_size = 2});
}

class Line : public LightningModule {
 public:
  Line() {
    save_hyperparameters({{"lr", 0.01}});
    linear = register_module("linear", nn::Linear(1, 1));
  }
  StepOutput training_step(const Batch& batch, std::int64_t) override {
    return loss_of(batch, "loss");
  }
  StepOutput validation_step(const Batch& batch, std::int64_t, std::int64_t) override {
    return loss_of(batch, "val/loss");
  }
  std::shared_ptr<DataLoader> train_dataloader() override { return line_loader(); }
  std::vector<std::shared_ptr<DataLoader>> val_dataloader() override { return {line_loader()}; }
  OptimizersConfig configure_optimizers() override {
    return make_optimizer<SGD>(parameters(), {.lr = hparams().get<double>("lr")});
  }
  nn::Linear linear = nullptr;

 private:
  StepOutput loss_of(const Batch& batch, std::string_view name) {
    const auto [x, y] = batch.tensors<2>();
    const at::Tensor loss = nn::functional::mse_loss(linear->forward(x), y);
    log(name, loss);
    return loss;
  }
};

// Fits twice, with that kind of log_model, and gives what was written.
std::vector<Record> records_of_two_fits(LogModel log_model) {
  std::string folder = fs::temp_directory_path() / "wandb_program_test.XXXXXX";
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  torch::manual_seed(1);
  {
    const auto wandb = make<WandbLogger>({.save_dir = folder,
                                          .id = "run1",
                                          .project = "lines",
                                          .log_model = log_model,
                                          .tags = {"baseline", "v1"}});
    Line model;
    wandb->watch(model, "all", /*log_freq=*/2);
    for (int fit = 0; fit < 2; ++fit) {
      Trainer trainer(
          {.accelerator = "cpu",
           .logger = wandb,
           .callbacks = {make<ModelCheckpoint>({.monitor = "val/loss", .save_top_k = 1})},
           .max_epochs = 2,
           .num_sanity_val_steps = 0,
           .log_every_n_steps = 1,
           .enable_progress_bar = false,
           .enable_model_summary = false});
      trainer.fit(model);
    }
  }
  std::vector<Record> records = wandb::records_of(wandb::only_run_in(folder));
  for (const Record& record : records) {
    if (record.has_artifact()) {
      EXPECT_TRUE(fs::exists(record.artifact().manifest().contents(0).local_path()));
    }
  }
  fs::remove_all(folder);
  return records;
}

std::vector<std::vector<std::string>> aliases_of(const std::vector<Record>& records) {
  std::vector<std::vector<std::string>> aliases;
  for (const Record& record : records) {
    if (record.has_artifact())
      aliases.emplace_back(record.artifact().aliases().begin(), record.artifact().aliases().end());
  }
  return aliases;
}

TEST(WandbProgramTest, TwoFitsAreOneRunWithTheBestCheckpointOfEach) {
  const std::vector<Record> records = records_of_two_fits(true);
  EXPECT_THAT(records[1].run().tags(), ElementsAre("baseline", "v1"));
  EXPECT_EQ(records.back().exit().exit_code(), 0);
  EXPECT_THAT(aliases_of(records),
              ElementsAre(ElementsAre("best", "latest"), ElementsAre("best", "latest")));
  for (const Record& record : records) {
    if (!record.has_artifact()) continue;
    EXPECT_EQ(record.artifact().name(), "model-run1");
    EXPECT_THAT(record.artifact().metadata(), HasSubstr("\"save_top_k\":1"));
  }
}

TEST(WandbProgramTest, AllLogsEachCheckpointAndItsCopyOutlivesIt) {
  // The loss falls: each epoch's checkpoint replaces the one before.
  EXPECT_EQ(aliases_of(records_of_two_fits("all")).size(), 4U);
}

TEST(WandbProgramTest, GradientsAndParametersOfAModuleInCppAreWatched) {
  std::map<std::string, int> seen;
  int rows = 0;
  for (const Record& record : records_of_two_fits(false)) {
    for (const auto& item : record.history().item()) {
      if (item.nested_key_size() == 2 && item.nested_key(1) == "values") ++seen[item.nested_key(0)];
    }
    rows += record.has_history();
    EXPECT_FALSE(record.has_artifact());
  }
  EXPECT_EQ(rows, 20);  // 8 batches and 2 epochs of each fit
  // 16 batches of training; 16 more of validation count for parameters, some of which share a row.
  EXPECT_EQ(seen["gradients/linear.weight"], 8);
  EXPECT_EQ(seen["gradients/linear.bias"], 8);
  EXPECT_EQ(seen["parameters/linear.weight"], 12);
}

}  // namespace
}  // namespace lctl
