// What a run says to its user, and the rarer things that it does as Lightning does them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "worker/trainer/checkpoint/file.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/lightning.h"
#include "worker/trainer/strategies/layer_sync.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;
namespace nn = torch::nn;
using ::testing::HasSubstr;
using ::testing::Not;

std::shared_ptr<DataLoader> line_loader(std::int64_t samples = 8, bool shuffle = false) {
  const at::Tensor x = torch::arange(samples, torch::kFloat).view({samples, 1}).div(samples);
  return make_dataloader(std::make_shared<TensorDataset>(std::vector<at::Tensor>{x, 2 * x}),
                         {.batch_size = 2, .shuffle = shuffle});
}

class LineData : public LightningDataModule {
 public:
  std::shared_ptr<DataLoader> train_dataloader() override { return line_loader(); }
};

class LineDataWithValidation : public LineData {
 public:
  std::vector<std::shared_ptr<DataLoader>> val_dataloader() override { return {line_loader()}; }
};

// Without validation_step and forward.
class Trained : public LightningModule {
 public:
  Trained() { linear = register_module("linear", nn::Linear(1, 1)); }
  StepOutput training_step(const Batch& batch, std::int64_t) override {
    const auto [x, y] = batch.tensors<2>();
    return nn::functional::mse_loss(linear->forward(x), y);
  }
  OptimizersConfig configure_optimizers() override {
    return make_optimizer<SGD>(parameters(), {.lr = 0.1});
  }
  nn::Linear linear = nullptr;
};

class Validated : public Trained {
 public:
  StepOutput validation_step(const Batch&, std::int64_t, std::int64_t) override { return {}; }
};

TrainerOptions quiet(std::int64_t max_epochs = 1) {
  return {.accelerator = "cpu",
          .logger = false,
          .max_epochs = max_epochs,
          .enable_checkpointing = false,
          .enable_progress_bar = false,
          .enable_model_summary = false};
}

template <typename Run>
std::string said_by(Run&& run) {
  ::testing::internal::CaptureStderr();
  run();
  return ::testing::internal::GetCapturedStderr();
}

template <typename Run>
std::string error_of(Run&& run) {
  try {
    run();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

class GuidanceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "guidance_test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    before_ = fs::current_path();
    fs::current_path(folder_);
    torch::manual_seed(1);
  }
  void TearDown() override {
    fs::current_path(before_);
    fs::remove_all(folder_);
  }
  fs::path folder_;
  fs::path before_;
};

// ---- validation that cannot be

TEST_F(GuidanceTest, AStepWithoutLoaderIsSaidAndNoSanityCheckBegins) {
  Validated model;
  LineData data;
  int checks = 0;
  TrainerOptions options = quiet();
  LambdaCallback::Hooks hooks;
  hooks.on_sanity_check_start = [&checks](Trainer&, TrainableModule&) { ++checks; };
  options.callbacks = {std::make_shared<LambdaCallback>(hooks)};
  Trainer trainer(options);
  EXPECT_THAT(said_by([&] { trainer.fit(model, &data); }),
              HasSubstr("You defined a `validation_step` but have no `val_dataloader`. Skipping "
                        "val loop."));
  EXPECT_EQ(checks, 0);
  EXPECT_EQ(trainer.global_step(), 4);
}

TEST_F(GuidanceTest, ALoaderWithoutStepIsSaid) {
  Trained model;
  LineDataWithValidation data;
  Trainer trainer(quiet());
  EXPECT_THAT(said_by([&] { trainer.fit(model, &data); }),
              HasSubstr("You passed in a `val_dataloader` but have no `validation_step`. Skipping "
                        "val loop."));
}

TEST_F(GuidanceTest, PredictNeedsForward) {
  Trained model;
  LineData data;
  Trainer trainer(quiet());
  EXPECT_EQ(error_of([&] { trainer.predict(model, &data); }),
            "`Trainer.predict` requires `forward` method to run.");
}

// ---- devices and arguments

TEST_F(GuidanceTest, DevicesAndGivenLimitsAreExplained) {
  const std::string said = said_by([] {
    TrainerOptions options = quiet();
    options.limit_val_batches = 1.0;
    Trainer trainer(options);
  });
  EXPECT_THAT(said, HasSubstr("GPU available: "));
  EXPECT_THAT(said, HasSubstr("TPU available: False, using: 0 TPU cores\n"));
  EXPECT_THAT(said, HasSubstr("`Trainer(limit_val_batches=1.0)` was configured so 100%"));
}

TEST_F(GuidanceTest, BarebonesSaysWhatIsOffAndSelfLogThatItDoesNothing) {
  class Logging : public Trained {
   public:
    StepOutput training_step(const Batch& batch, std::int64_t idx) override {
      log("loss", 1.0);
      return Trained::training_step(batch, idx);
    }
  };
  Logging model;
  LineData data;
  const std::string said = said_by([&] {
    Trainer trainer({.accelerator = "cpu", .max_epochs = 1, .barebones = true});
    trainer.fit(model, &data);
    EXPECT_EQ(trainer.global_step(), 4);
  });
  EXPECT_THAT(said, HasSubstr("You are running in `Trainer(barebones=True)` mode."));
  EXPECT_THAT(said, HasSubstr("`Trainer(barebones=True)` started running."));
  EXPECT_THAT(said, HasSubstr("You are trying to `self.log()` but `Trainer(barebones=True)`"));
  EXPECT_FALSE(fs::exists("lightning_logs"));
}

TEST_F(GuidanceTest, CallbacksOfTheModuleReplaceTheTrainers) {
  class WithCallbacks : public Trained {
   public:
    std::vector<std::shared_ptr<Callback>> configure_callbacks() override {
      return {make<EarlyStopping>({.monitor = "other", .strict = false})};
    }
  };
  WithCallbacks model;
  LineData data;
  TrainerOptions options = quiet();
  options.callbacks = {make<EarlyStopping>({.monitor = "loss"})};
  Trainer trainer(options);
  EXPECT_THAT(said_by([&] { trainer.fit(model, &data); }),
              HasSubstr("will override existing callbacks passed to Trainer: EarlyStopping"));
  EXPECT_EQ(trainer.callbacks().size(), 1u);
}

TEST_F(GuidanceTest, ASaveWithoutWeightsOnlySaysItsDefault) {
  Trained model;
  LineData data;
  Trainer trainer(quiet());
  trainer.fit(model, &data);
  EXPECT_THAT(said_by([&] { trainer.save_checkpoint("a.ckpt"); }),
              HasSubstr("`weights_only` was not set, defaulting to `False`."));
  EXPECT_THAT(said_by([&] { trainer.save_checkpoint("b.ckpt", false); }),
              Not(HasSubstr("weights_only")));
}

TEST_F(GuidanceTest, EstimatingStepsSaysThatItLoadsData) {
  class Estimating : public Trained {
   public:
    OptimizersConfig configure_optimizers() override {
      EXPECT_EQ(trainer()->estimated_stepping_batches(), 4);
      return Trained::configure_optimizers();
    }
  };
  Estimating model;
  LineData data;
  Trainer trainer(quiet());
  EXPECT_THAT(said_by([&] { trainer.fit(model, &data); }),
              HasSubstr("Loading `train_dataloader` to estimate number of stepping batches."));
}

// ---- no optimizer

class Unoptimised : public Trained {
 public:
  OptimizersConfig configure_optimizers() override { return {}; }
};

TEST_F(GuidanceTest, WithoutAnOptimizerTheRunGoesItsWayAndChangesNothing) {
  Unoptimised model;
  LineData data;
  const at::Tensor before = model.linear->weight.detach().clone();
  int updates = 0;
  TrainerOptions options = quiet(2);
  LambdaCallback::Hooks hooks;
  hooks.on_before_optimizer_step = [&updates](Trainer&, TrainableModule&, Optimizer&) {
    ++updates;
  };
  options.callbacks = {std::make_shared<LambdaCallback>(hooks)};
  options.gradient_clip_val = 1.0;
  Trainer trainer(options);
  EXPECT_THAT(said_by([&] { trainer.fit(model, &data); }),
              HasSubstr("`LightningModule.configure_optimizers` returned `None`, this fit will run "
                        "with no optimizer"));
  EXPECT_EQ(trainer.global_step(), 8);
  EXPECT_EQ(updates, 8);
  EXPECT_TRUE(torch::equal(model.linear->weight, before));

  trainer.save_checkpoint("none.ckpt", false);
  const checkpoint::Value file = checkpoint::read_file("none.ckpt");
  const checkpoint::List& states = file.as_dict().at("optimizer_states").as_list();
  ASSERT_EQ(states.size(), 1u);
  EXPECT_EQ(states[0].as_dict().size(), 0u);
  Trainer again(quiet(3));
  again.fit(model, &data, "none.ckpt");
  EXPECT_EQ(again.global_step(), 12);
}

TEST_F(GuidanceTest, ManualOptimizationStepsTheMissingOptimizerToo) {
  class Manual : public Unoptimised {
   public:
    Manual() { set_automatic_optimization(false); }
    StepOutput training_step(const Batch& batch, std::int64_t idx) override {
      manual_backward(Trained::training_step(batch, idx).loss);
      optimizers()[0].step();
      return {};
    }
  };
  Manual model;
  LineData data;
  Trainer trainer(quiet());
  trainer.fit(model, &data);
  EXPECT_EQ(trainer.global_step(), 4);
}

TEST_F(GuidanceTest, SchedulerKeysThatManualOptimizationIgnoresAreSaid) {
  class Manual : public Trained {
   public:
    Manual() { set_automatic_optimization(false); }
    StepOutput training_step(const Batch&, std::int64_t) override { return {}; }
    OptimizersConfig configure_optimizers() override {
      auto optimizer = make_optimizer<SGD>(parameters(), {.lr = 0.1});
      auto scheduler = step_lr(*optimizer, 1);
      return {std::move(optimizer), {.scheduler = std::move(scheduler), .monitor = "loss"}};
    }
  };
  Manual model;
  LineData data;
  Trainer trainer(quiet());
  EXPECT_THAT(said_by([&] { trainer.fit(model, &data); }),
              HasSubstr("The lr scheduler dict contains the key(s) ['monitor'], but the keys will "
                        "be ignored."));
}

// ---- hyper-parameters

TEST_F(GuidanceTest, HyperparametersThatClashEndTheRunWhereTheyWouldBeLogged) {
  Trained model;
  model.save_hyperparameters({{"lr", 0.1}, {"layers", 2}, {"same", "x"}});
  LineData data;
  data.save_hyperparameters({{"lr", 0.2}, {"layers", 2.0}, {"same", "x"}});
  TrainerOptions options = quiet();
  options.logger = make<CSVLogger>({.save_dir = folder_.string()});
  Trainer trainer(options);
  EXPECT_EQ(error_of([&] { trainer.fit(model, &data); }),
            "Error while merging hparams: the keys ['lr', 'layers'] are present in both the "
            "LightningModule's and LightningDataModule's hparams but have different values.");
  Trainer unlogged(quiet());
  unlogged.fit(model, &data);
  EXPECT_EQ(unlogged.global_step(), 4);
}

// ---- several train loaders

class OfTwo : public LightningModule {
 public:
  explicit OfTwo(CombinedLoader::Mode mode = CombinedLoader::Mode::kMaxSizeCycle) : mode_(mode) {
    linear = register_module("linear", nn::Linear(1, 1));
  }
  std::shared_ptr<DataLoader> train_dataloader() override {
    return std::make_shared<CombinedLoader>(
        CombinedLoader::NamedParts{{"long", line_loader(20, true)},
                                   {"short", line_loader(6, true)}},
        mode_);
  }
  StepOutput training_step(const Batch& batch, std::int64_t) override {
    const auto [x, y] = batch["long"].tensors<2>();
    at::Tensor loss = nn::functional::mse_loss(linear->forward(x), y);
    if (!batch["short"].is_none()) {
      const auto [u, v] = batch["short"].tensors<2>();
      loss = loss + nn::functional::mse_loss(linear->forward(u), 3 * v);
    }
    return loss;
  }
  OptimizersConfig configure_optimizers() override {
    return make_optimizer<SGD>(parameters(), {.lr = 0.1});
  }
  nn::Linear linear = nullptr;

 private:
  CombinedLoader::Mode mode_;
};

TEST_F(GuidanceTest, ACombinedLoaderIsAsLongAsItsModeSays) {
  const auto steps = [](CombinedLoader::Mode mode, Limit limit) {
    OfTwo model(mode);
    TrainerOptions options = quiet();
    options.limit_train_batches = limit;
    Trainer trainer(options);
    trainer.fit(model);
    return trainer.global_step();
  };
  EXPECT_EQ(steps(CombinedLoader::Mode::kMaxSizeCycle, 1.0), 10);
  EXPECT_EQ(steps(CombinedLoader::Mode::kMaxSize, 1.0), 10);
  EXPECT_EQ(steps(CombinedLoader::Mode::kMinSize, 1.0), 3);
  EXPECT_EQ(steps(CombinedLoader::Mode::kMaxSizeCycle, std::int64_t{4}), 4);
  EXPECT_EQ(steps(CombinedLoader::Mode::kMaxSizeCycle, 0.5), 5);
  OfTwo sequential(CombinedLoader::Mode::kSequential);
  Trainer trainer(quiet());
  EXPECT_THAT(error_of([&] { trainer.fit(sequential); }),
              HasSubstr("does not support the `CombinedLoader(mode=\"sequential\")` mode"));
}

// From the middle of an epoch, where the short loader has begun again: the same bits.
TEST_F(GuidanceTest, ARunOnACombinedLoaderResumesExactly) {
  OfTwo whole;
  const auto saver =
      make<ModelCheckpoint>({.dirpath = "ck", .save_top_k = -1, .every_n_train_steps = 7});
  TrainerOptions options = quiet(2);
  options.enable_checkpointing = true;
  options.callbacks = {saver};
  torch::manual_seed(5);
  const at::Tensor initial = whole.linear->weight.detach().clone();
  Trainer(options).fit(whole);
  OfTwo resumed;
  torch::manual_seed(99);
  Trainer(quiet(2)).fit(resumed, nullptr, "ck/epoch=0-step=7.ckpt");
  EXPECT_FALSE(torch::equal(whole.linear->weight, initial));
  EXPECT_TRUE(torch::equal(resumed.linear->weight, whole.linear->weight));
  EXPECT_TRUE(torch::equal(resumed.linear->bias, whole.linear->bias));
}

// ---- batch normalisation over ranks

class Normalised : public Trained {
 public:
  Normalised() { norm = register_module("norm", BatchNorm1d(2)); }
  BatchNorm1d norm = nullptr;
};

TEST_F(GuidanceTest, LayersAreSwitchedAndLibTorchsOwnAreRefusedByName) {
  LineData data;
  Normalised ours;
  class Plain : public Trained {
   public:
    Plain() { register_module("body", nn::Sequential(nn::BatchNorm2d(2))); }
  };
  Plain plain;
  Trainer trainer(quiet());
  trainer.fit(plain, &data);
  EXPECT_EQ(error_of([&] { apply_layer_sync(plain, trainer.strategy()); }),
            "`Trainer(sync_batchnorm=true)`: the layer 'body.0' is a `torch::nn::BatchNorm2d`, "
            "whose statistics cannot be shared between ranks. Make it an `lctl::BatchNorm2d` "
            "(worker/trainer/core/batch_norm.h), which has the same options, state and names.");
  apply_layer_sync(ours, trainer.strategy());
  EXPECT_TRUE(ours.norm->shares_statistics());
  revert_layer_sync(ours);
  EXPECT_FALSE(ours.norm->shares_statistics());
  EXPECT_EQ(ours.describe_submodules().back().type, "BatchNorm1d");
  EXPECT_NE(ours.state_dict().find("norm.running_mean"), nullptr);
  EXPECT_TRUE(ours.has_batch_norm());
}

}  // namespace
}  // namespace lctl
