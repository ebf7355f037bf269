// The C++ API as a user meets it.
#include "worker/trainer/lightning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace lctl {
namespace {

namespace fs = std::filesystem;
namespace nn = torch::nn;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// 8 samples x = i, y = 2 i.
std::shared_ptr<DataLoader> line_loader(std::int64_t batch_size = 2) {
  const at::Tensor x = torch::arange(8, torch::kFloat).view({8, 1});
  return make_dataloader(std::make_shared<TensorDataset>(std::vector<at::Tensor>{x, 2 * x}),
                         {.batch_size = batch_size});
}

class LineData : public LightningDataModule {
 public:
  std::shared_ptr<DataLoader> train_dataloader() override { return line_loader(); }
  std::vector<std::shared_ptr<DataLoader>> val_dataloader() override { return {line_loader(4)}; }
  std::vector<std::shared_ptr<DataLoader>> test_dataloader() override { return {line_loader(4)}; }
  std::vector<std::shared_ptr<DataLoader>> predict_dataloader() override {
    return {line_loader(4)};
  }
};

class Line : public LightningModule {
 public:
  explicit Line(const HParams& hparams = {{"lr", 0.01}}) {
    save_hyperparameters(hparams);
    linear = register_module("linear", nn::Linear(1, 1));
  }
  at::Tensor forward(const at::Tensor& x) override { return linear->forward(x); }
  StepOutput training_step(const Batch& batch, std::int64_t) override {
    const auto [x, y] = batch.tensors<2>();
    const at::Tensor loss = nn::functional::mse_loss(forward(x), y);
    log_dict({{"loss", loss}, {"two", 2}});
    return loss;
  }
  StepOutput validation_step(const Batch& batch, std::int64_t, std::int64_t) override {
    const auto [x, y] = batch.tensors<2>();
    log("val/loss", nn::functional::mse_loss(forward(x), y));
    return {};
  }
  StepOutput test_step(const Batch& batch, std::int64_t, std::int64_t) override {
    const auto [x, y] = batch.tensors<2>();
    log("test/loss", nn::functional::mse_loss(forward(x), y));
    return {};
  }
  Batch predict_step(const Batch& batch, std::int64_t, std::int64_t) override {
    return forward(batch[0].tensor());
  }
  OptimizersConfig configure_optimizers() override {
    return make_optimizer<SGD>(parameters(), {.lr = hparams().get<double>("lr")});
  }
  nn::Linear linear = nullptr;
};

TrainerOptions quiet(std::int64_t max_epochs = 1) {
  return {.accelerator = "cpu",
          .logger = false,
          .max_epochs = max_epochs,
          .enable_checkpointing = false,
          .enable_progress_bar = false,
          .enable_model_summary = false};
}

class LightningTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "lightning_test.XXXXXX";
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

template <typename Run>
std::string error_of(Run&& run) {
  try {
    run();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST_F(LightningTest, FitValidateTestAndPredictWithAModuleAndItsData) {
  Line model;
  LineData data;
  Trainer trainer(quiet(30));
  trainer.fit(model, &data);
  EXPECT_EQ(trainer.global_step(), 30 * 4);
  EXPECT_NEAR(model.linear->weight.item<double>(), 2, 0.2);
  EXPECT_EQ(trainer.callback_metrics().find("two")->number(), 2);
  const auto validated = trainer.validate(model, &data);
  ASSERT_EQ(validated.size(), 1u);
  EXPECT_NE(validated[0].find("val/loss"), nullptr);
  const auto predicted = trainer.predict(model, &data);
  ASSERT_EQ(predicted.size(), 1u);
  ASSERT_EQ(predicted[0].size(), 2u);
  EXPECT_EQ(predicted[0][0].tensor().sizes(), (std::vector<std::int64_t>{4, 1}));
}

TEST_F(LightningTest, TwoTrainersInOneProgramCountForThemselves) {
  Line model;
  LineData data;
  Trainer first(quiet(1));
  first.fit(model, &data);
  Trainer second(quiet(2));
  second.fit(model, &data);
  EXPECT_EQ(first.global_step(), 4);
  EXPECT_EQ(second.global_step(), 8);
}

// ---- checkpoints that are written while training goes on

// A checkpoint after each step, in `folder`.
std::shared_ptr<ModelCheckpoint> each_step(const fs::path& folder) {
  return make<ModelCheckpoint>({.dirpath = folder.string(),
                                .filename = "{step}",
                                .save_top_k = -1,
                                .auto_insert_metric_name = false,
                                .every_n_train_steps = 1});
}

TEST_F(LightningTest, CheckpointsHoldTheStepThatTheyWereTakenAfter) {
  class Weights final : public Callback {
   public:
    std::string type_name() const override { return "Weights"; }
    void on_train_batch_end(Trainer&, TrainableModule& module, const StepOutput&, const Batch&,
                            std::int64_t) override {
      after.push_back(module.parameter_list().front().tensor.item<double>());
    }
    // The last moment at which a user may look for the files.
    void on_train_end(Trainer& trainer, TrainableModule&) override {
      const auto saver = std::static_pointer_cast<ModelCheckpoint>(trainer.checkpoint_callback());
      files_at_end = fs::exists(saver->best_model_path()) ? 1 : 0;
    }
    std::vector<double> after;
    int files_at_end = -1;
  };
  for (const bool async : {true, false}) {
    Line model;
    LineData data;
    const fs::path folder = folder_ / (async ? "async" : "sync");
    const auto weights = std::make_shared<Weights>();
    TrainerOptions options = quiet(2);
    options.enable_checkpointing = true;
    options.async_checkpoint = async;
    options.callbacks = {weights, each_step(folder)};
    Trainer trainer(options);
    trainer.fit(model, &data);
    EXPECT_EQ(weights->files_at_end, 1);
    ASSERT_EQ(weights->after.size(), 8u);
    for (std::size_t step = 1; step <= 8; ++step) {
      const auto saved = load_from_checkpoint<Line>(folder / (std::to_string(step) + ".ckpt"));
      EXPECT_EQ(saved->linear->weight.item<double>(), weights->after[step - 1]) << step;
    }
  }
}

TEST_F(LightningTest, ACheckpointThatCannotBeWrittenEndsTheRunAndItsPredecessorStays) {
  Line model;
  LineData data;
  const fs::path folder = folder_ / "saved";
  // A folder that is not empty stands where the third file should be.
  fs::create_directories(folder / "3.ckpt" / "something");
  TrainerOptions options = quiet(1);
  options.enable_checkpointing = true;
  options.callbacks = {make<ModelCheckpoint>({.dirpath = folder.string(),
                                              .filename = "{step}",
                                              .auto_insert_metric_name = false,
                                              .every_n_train_steps = 1,
                                              .enable_version_counter = false})};
  Trainer trainer(options);
  EXPECT_THAT(error_of([&] { trainer.fit(model, &data); }), HasSubstr("3.ckpt"));
  EXPECT_FALSE(fs::exists(folder / "1.ckpt"));
  EXPECT_TRUE(fs::exists(folder / "2.ckpt"));
  EXPECT_FALSE(fs::exists(folder / "4.ckpt"));
}

// ---- what is missing is refused before anything runs

class NoStep : public LightningModule {
 public:
  NoStep() { register_module("linear", nn::Linear(1, 1)); }
  OptimizersConfig configure_optimizers() override {
    return make_optimizer<SGD>(parameters(), {.lr = 0.1});
  }
};

class NoOptimizer : public LightningModule {
 public:
  StepOutput training_step(const Batch&, std::int64_t) override { return {}; }
};

TEST_F(LightningTest, MissingStepsAreRefusedInLightningsWords) {
  LineData data;
  Trainer trainer(quiet());
  NoStep no_step;
  EXPECT_THAT(
      error_of([&] { trainer.fit(no_step, &data); }),
      HasSubstr("No `training_step()` method defined. Lightning `Trainer` expects as minimum"));
  NoOptimizer no_optimizer;
  EXPECT_THAT(error_of([&] { trainer.fit(no_optimizer, &data); }),
              HasSubstr("No `configure_optimizers()` method defined."));
  EXPECT_THAT(error_of([&] { trainer.validate(no_step, &data); }),
              HasSubstr("No `validation_step()` method defined to run `Trainer.validate`."));
  EXPECT_THAT(error_of([&] { trainer.test(no_step, &data); }),
              HasSubstr("No `test_step()` method defined to run `Trainer.test`."));
  EXPECT_THAT(error_of([&] { trainer.predict(no_step, &data); }),
              HasSubstr("requires `forward` method to run."));
  Line complete;
  EXPECT_THAT(error_of([&] { trainer.fit(complete); }),
              HasSubstr("`train_dataloader` must be implemented"));
}

TEST_F(LightningTest, ABaseClassReferenceIsNotMistakenForTheWholeClass) {
  Line model;
  LightningModule& base = model;
  LineData data;
  Trainer trainer(quiet());
  trainer.fit(base, &data);
  EXPECT_EQ(trainer.global_step(), 4);
}

TEST_F(LightningTest, LoggingANameTwiceWithOtherOptionsIsRefused) {
  class Twice : public Line {
   public:
    StepOutput training_step(const Batch& batch, std::int64_t idx) override {
      log("loss", 1.0, {.prog_bar = true});
      return Line::training_step(batch, idx);
    }
  };
  Twice model;
  LineData data;
  Trainer trainer(quiet());
  EXPECT_THAT(error_of([&] { trainer.fit(model, &data); }),
              HasSubstr("You called `self.log(loss, ...)` twice in `training_step` with different "
                        "arguments. This is not allowed"));
}

TEST_F(LightningTest, AskingForTheRunOutsideOfItSaysSo) {
  const Line model;
  EXPECT_THAT(error_of([&] { model.global_step(); }),
              HasSubstr("Line is not attached to a `Trainer`"));
}

// ---- checkpoints

TEST_F(LightningTest, LoadFromCheckpointRestoresWeightsAndHyperparameters) {
  Line model({{"lr", 0.02}, {"note", "first"}});
  LineData data;
  auto saver = make<ModelCheckpoint>({.dirpath = "ckpt", .monitor = "val/loss"});
  TrainerOptions options = quiet(3);
  options.enable_checkpointing = true;
  options.callbacks = {saver};
  Trainer trainer(options);
  trainer.fit(model, &data);
  const auto loaded = load_from_checkpoint<Line>(saver->best_model_path());
  EXPECT_TRUE(torch::equal(loaded->linear->weight, model.linear->weight));
  EXPECT_EQ(loaded->hparams().get<double>("lr"), 0.02);
  EXPECT_EQ(loaded->hparams().get<std::string>("note"), "first");
  const auto changed =
      load_from_checkpoint<Line>(saver->best_model_path(), {.hparams = {{"lr", 0.5}}});
  EXPECT_EQ(changed->hparams().get<double>("lr"), 0.5);
  EXPECT_THAT(error_of([&] { changed->hparams().get<double>("note"); }),
              HasSubstr("'note': expected float, found str"));
  EXPECT_THAT(error_of([&] { load_from_checkpoint<NoStep>("nowhere.ckpt"); }),
              HasSubstr("nowhere.ckpt"));
}

TEST_F(LightningTest, LoadFromCheckpointNamesWhatDoesNotFit) {
  class Wider : public Line {
   public:
    explicit Wider(const HParams& hparams) : Line(hparams) {
      register_module("extra", nn::Linear(1, 1));
    }
  };
  Line model;
  LineData data;
  Trainer trainer(quiet(1));
  trainer.fit(model, &data);
  trainer.save_checkpoint("line.ckpt");
  const std::string error = error_of([&] { load_from_checkpoint<Wider>("line.ckpt"); });
  EXPECT_THAT(error, HasSubstr("line.ckpt: Error(s) in loading state_dict for Wider"));
  EXPECT_THAT(error, HasSubstr("Missing key(s) in state_dict: \"extra.weight\", \"extra.bias\""));
  EXPECT_NE(load_from_checkpoint<Wider>("line.ckpt", {.strict = false}), nullptr);
}

TEST_F(LightningTest, TestWithoutAModuleTakesTheBestOfTheLastFit) {
  Line model({{"lr", 0.01}});
  LineData data;
  auto saver = make<ModelCheckpoint>({.dirpath = "ckpt", .monitor = "val/loss"});
  TrainerOptions options = quiet(2);
  options.enable_checkpointing = true;
  options.callbacks = {saver};
  Trainer trainer(options);
  EXPECT_THAT(error_of([&] { trainer.test(&data); }), HasSubstr("requires a `LightningModule`"));
  trainer.fit(model, &data);
  {
    const torch::NoGradGuard no_grad;
    model.linear->weight.fill_(100);
  }
  const auto results = trainer.test(&data);
  EXPECT_LT(results[0].find("test/loss")->number(), 100);
  EXPECT_EQ(trainer.ckpt_path(), saver->best_model_path());
}

// ---- callbacks

TEST_F(LightningTest, LambdaCallbackRunsTheFunctionsItHas) {
  std::vector<std::string> calls;
  auto spy = std::make_shared<LambdaCallback>(LambdaCallback::Hooks{
      .setup = [&](Trainer&, TrainableModule&,
                   std::string_view stage) { calls.push_back("setup " + std::string(stage)); },
      .on_train_batch_end =
          [&](Trainer&, TrainableModule& module, const StepOutput& outputs, const Batch&,
              std::int64_t batch_idx) {
            if (batch_idx == 0) calls.push_back("loss " + std::to_string(outputs.loss.dim()));
            module.log("from_callback", 1.0);
          },
      .on_train_end =
          [&](Trainer& trainer, TrainableModule&) {
            calls.push_back(std::to_string(trainer.global_step()));
          }});
  Line model;
  LineData data;
  TrainerOptions options = quiet(1);
  options.callbacks = {spy};
  Trainer trainer(options);
  trainer.fit(model, &data);
  EXPECT_THAT(calls, ElementsAre("setup fit", "loss 0", "4"));
  EXPECT_NE(trainer.callback_metrics().find("from_callback"), nullptr);
}

class Counting : public Callback {
 public:
  void on_train_batch_start(Trainer&, TrainableModule&, const Batch&, std::int64_t) override {
    ++batches;
  }
  int batches = 0;
};

TEST_F(LightningTest, OwnCallbacksAreNamedByTheirClass) {
  auto counting = std::make_shared<Counting>();
  EXPECT_EQ(counting->type_name(), "Counting");
  EXPECT_EQ(LineData().type_name(), "LineData");
  EXPECT_EQ(Line().type_name(), "Line");
  Line model;
  LineData data;
  TrainerOptions options = quiet(2);
  options.callbacks = {counting};
  Trainer(options).fit(model, &data);
  EXPECT_EQ(counting->batches, 8);
}

// ---- hooks that replace what the trainer does

TEST_F(LightningTest, TransferHooksOfTheDataModuleWin) {
  class Doubling : public LineData {
   public:
    Batch on_after_batch_transfer(Batch batch, std::int64_t) override {
      ++calls;
      return batch.transformed([](const at::Tensor& tensor) { return tensor * 2; });
    }
    int calls = 0;
  };
  class Zeroing : public Line {
   public:
    Batch on_after_batch_transfer(Batch batch, std::int64_t) override {
      return batch.transformed([](const at::Tensor& tensor) { return tensor * 0; });
    }
    StepOutput training_step(const Batch& batch, std::int64_t idx) override {
      largest = std::max(largest, batch[1].tensor().max().item<double>());
      return Line::training_step(batch, idx);
    }
    double largest = 0;
  };
  Zeroing model;
  LineData plain;
  Trainer(quiet(1)).fit(model, &plain);
  EXPECT_EQ(model.largest, 0);
  Doubling doubling;
  Trainer(quiet(1)).fit(model, &doubling);
  EXPECT_EQ(model.largest, 28);
  EXPECT_GE(doubling.calls, 4);
}

TEST_F(LightningTest, ModelTrainHookReplacesTheModesFromBefore) {
  class StaysInEval : public Line {
   public:
    void on_validation_model_train() override { ++calls; }
    StepOutput training_step(const Batch& batch, std::int64_t idx) override {
      trained_in_eval = trained_in_eval || !is_training();
      return Line::training_step(batch, idx);
    }
    int calls = 0;
    bool trained_in_eval = false;
  };
  LineData data;
  StaysInEval model;
  Trainer(quiet(2)).fit(model, &data);
  EXPECT_EQ(model.calls, 3);  // sanity check and two epochs
  EXPECT_TRUE(model.trained_in_eval);
}

// ---- manual optimisation

class TwoOptimizers : public LightningModule {
 public:
  TwoOptimizers() {
    a = register_module("a", nn::Linear(1, 1));
    b = register_module("b", nn::Linear(1, 1));
    set_automatic_optimization(false);
  }
  StepOutput training_step(const Batch& batch, std::int64_t) override {
    auto both = optimizers();
    toggle_optimizer(both[0]);
    EXPECT_TRUE(a->weight.requires_grad());
    EXPECT_FALSE(b->weight.requires_grad());
    const at::Tensor loss = b->forward(a->forward(batch[0].tensor())).pow(2).mean();
    both[0].zero_grad();
    manual_backward(loss);
    clip_gradients(both[0], 0.1);
    both[0].step();
    untoggle_optimizer(both[0]);
    EXPECT_TRUE(b->weight.requires_grad());
    both[1].step([&] {
      both[1].zero_grad();
      const at::Tensor again = b->forward(batch[0].tensor()).pow(2).mean();
      manual_backward(again);
      return again;
    });
    return {};
  }
  OptimizersConfig configure_optimizers() override {
    OptimizersConfig config;
    config.add(make_optimizer<SGD>(a->parameters(), {.lr = 0.1}));
    config.add(make_optimizer<SGD>(b->parameters(), {.lr = 0.1}));
    return config;
  }
  nn::Linear a = nullptr, b = nullptr;
};

TEST_F(LightningTest, ManualOptimizationStepsEachOptimizer) {
  TwoOptimizers model;
  LineData data;
  const at::Tensor a_before = model.a->weight.detach().clone();
  const at::Tensor b_before = model.b->weight.detach().clone();
  Trainer trainer(quiet(1));
  trainer.fit(model, &data);
  EXPECT_EQ(trainer.global_step(), 8);
  EXPECT_FALSE(torch::equal(a_before, model.a->weight));
  EXPECT_FALSE(torch::equal(b_before, model.b->weight));
}

TEST_F(LightningTest, ManualBackwardUnderAutomaticOptimizationSaysWhatToDo) {
  class Wrong : public Line {
   public:
    StepOutput training_step(const Batch& batch, std::int64_t) override {
      manual_backward(forward(batch[0].tensor()).sum());
      return {};
    }
  };
  Wrong model;
  LineData data;
  Trainer trainer(quiet(1));
  EXPECT_THAT(error_of([&] { trainer.fit(model, &data); }),
              HasSubstr("set_automatic_optimization(false)"));
}

// ---- torch.utils.checkpoint

TEST_F(LightningTest, ActivationCheckpointGivesTheSameGradientsAndDropout) {
  nn::Sequential net(nn::Linear(8, 8), nn::Dropout(0.5), nn::ReLU(), nn::Linear(8, 1));
  const at::Tensor x = torch::randn({16, 8});
  const auto gradients = [&](bool recompute) {
    net->zero_grad();
    torch::manual_seed(5);
    const at::Tensor out =
        recompute ? activation_checkpoint([&](const at::Tensor& in) { return net->forward(in); }, x)
                  : net->forward(x);
    const at::Tensor behind = torch::rand({1});  // the generator goes on from the same place
    out.pow(2).sum().backward();
    std::vector<at::Tensor> all{out.detach(), behind, torch::rand({1})};
    for (const at::Tensor& parameter : net->parameters()) all.push_back(parameter.grad().clone());
    return all;
  };
  const auto plain = gradients(false);
  const auto recomputed = gradients(true);
  ASSERT_EQ(plain.size(), recomputed.size());
  for (std::size_t i = 0; i < plain.size(); ++i)
    EXPECT_TRUE(torch::equal(plain[i], recomputed[i])) << i;
}

TEST_F(LightningTest, ActivationCheckpointPassesTheGradientToItsInput) {
  const at::Tensor x = torch::ones({3}, torch::requires_grad());
  activation_checkpoint([](const at::Tensor& in) { return in * in * 3; }, x).sum().backward();
  EXPECT_TRUE(torch::equal(x.grad(), torch::full({3}, 6.0)));
}

TEST_F(LightningTest, RandomSplitTakesFractionsAsTorchDoes) {
  EXPECT_THAT(split_lengths(11, {0.5, 0.3, 0.2}), ElementsAre(6, 3, 2));
  EXPECT_THAT(error_of([] { split_lengths(10, {0.5, 0.3}); }), HasSubstr("must sum up to 1"));
}

}  // namespace
}  // namespace lctl
