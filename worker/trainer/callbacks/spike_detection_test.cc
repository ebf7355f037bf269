#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "worker/trainer/lightning.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::HasSubstr;

TEST(SpikeJudgeTest, SpikesAreWorseThanTheLastAndAwayFromTheMean) {
  SpikeJudge judge(SpikeDetectionOptions{.window = 2});
  EXPECT_FALSE(judge.is_spike(100)) << "nothing to compare with";
  judge.update(1);
  EXPECT_FALSE(judge.is_spike(2.9));
  EXPECT_TRUE(judge.is_spike(3)) << "2 away from the mean of 1, which is twice the mean";
  EXPECT_FALSE(judge.is_spike(-100)) << "better";
  judge.update(3);
  EXPECT_EQ(judge.mean(), 2);
  judge.update(5);
  EXPECT_EQ(judge.mean(), 4) << "of the last two";
  EXPECT_FALSE(judge.is_spike(5)) << "no worse than the last";
}

TEST(SpikeJudgeTest, BothTolerancesMustBeExceeded) {
  SpikeJudge judge(SpikeDetectionOptions{.atol = 10, .rtol = 2.0});
  judge.update(1);
  EXPECT_FALSE(judge.is_spike(10));
  EXPECT_TRUE(judge.is_spike(11));
  SpikeJudge absolute(SpikeDetectionOptions{.atol = 0.5, .rtol = std::nullopt});
  absolute.update(1);
  EXPECT_TRUE(absolute.is_spike(1.5));
}

TEST(SpikeJudgeTest, ModeMaxTurnsItRound) {
  SpikeJudge judge(SpikeDetectionOptions{.mode = "max", .rtol = 0.5});
  judge.update(1);
  EXPECT_FALSE(judge.is_spike(9));
  EXPECT_TRUE(judge.is_spike(0.5));
}

TEST(SpikeJudgeTest, WhatIsNotFiniteIsASpikeUnlessItMayBe) {
  SpikeJudge strict(SpikeDetectionOptions{});
  EXPECT_TRUE(strict.is_spike(NAN));
  EXPECT_TRUE(strict.is_spike(INFINITY));
  SpikeJudge lenient(SpikeDetectionOptions{.finite_only = false});
  lenient.update(1);
  EXPECT_FALSE(lenient.is_spike(NAN));
  lenient.update(NAN);
  EXPECT_EQ(lenient.mean(), 1);
}

// Its loss is the mean of the batch's one row: the data decides.
class Model final : public LightningModule {
 public:
  explicit Model(std::vector<float> losses) : losses_(std::move(losses)) {
    linear = register_module("linear", torch::nn::Linear(1, 1));
  }
  StepOutput training_step(const Batch& batch, std::int64_t) override {
    return (0 * linear->forward(batch[0].tensor())).mean() + batch[0].tensor().mean();
  }
  std::shared_ptr<DataLoader> train_dataloader() override {
    return make_dataloader(std::make_shared<TensorDataset>(
        std::vector<at::Tensor>{torch::tensor(losses_).unsqueeze(1)}));
  }
  OptimizersConfig configure_optimizers() override {
    return make_optimizer<SGD>(parameters(), {.lr = 0.1});
  }

  torch::nn::Linear linear{nullptr};

 private:
  std::vector<float> losses_;
};

void fit(Model& model, std::shared_ptr<Callback> callback, std::int64_t accumulate = 1) {
  Trainer trainer({.accelerator = "cpu",
                   .logger = false,
                   .callbacks = {std::move(callback)},
                   .max_epochs = 1,
                   .enable_checkpointing = false,
                   .enable_progress_bar = false,
                   .enable_model_summary = false,
                   .accumulate_grad_batches = accumulate});
  trainer.fit(model);
}

std::string content_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

class SpikeDetectionTest : public testing::Test {
 protected:
  SpikeDetectionTest() : folder_(fs::path(testing::TempDir()) / "spikes") {
    fs::remove_all(folder_);
  }
  std::shared_ptr<SpikeDetection> detection(SpikeAction action = SpikeAction::kRaise) {
    return std::make_shared<SpikeDetection>(SpikeDetectionOptions{
        .exclude_batches_path = folder_.string(), .action = action, .max_roll_backs = 5});
  }
  const fs::path folder_;
};

TEST_F(SpikeDetectionTest, RaisesInLightningsWordsAndWritesTheBatchesToSkip) {
  Model model({1, 1, 1, 9, 1});
  const auto callback = detection();
  try {
    fit(model, callback);
    FAIL();
  } catch (const TrainingSpikeException& error) {
    EXPECT_STREQ(error.what(), "Training spike detected in batch 3");
  }
  EXPECT_THAT(callback->bad_batches(), ElementsAre(2, 3));
  EXPECT_EQ(content_of(folder_ / "skip_batches.json"), "[\n    2,\n    3\n]");
}

TEST_F(SpikeDetectionTest, WarmUpAndSmallChangesAreLeftAlone) {
  Model model({50, 1, 2, 1, 2});
  fit(model, std::make_shared<SpikeDetection>(SpikeDetectionOptions{.warmup = 1}));
  Model first({1, 50, 3});
  fit(first, std::make_shared<SpikeDetection>(SpikeDetectionOptions{.warmup = 2}));
}

TEST_F(SpikeDetectionTest, RollBackNamesTheStepAndBothBatches) {
  Model model({1, 1, 1, 9, 1});
  try {
    fit(model, detection(SpikeAction::kRollBack));
    FAIL();
  } catch (const RollBackRequest& request) {
    EXPECT_EQ(request.before(), 3) << "step 2 is the last without batch 2";
    EXPECT_THAT(request.skip(), ElementsAre(BatchPlace{0, 2}, BatchPlace{0, 3}));
    EXPECT_EQ(request.max_roll_backs(), 5);
    EXPECT_THAT(std::string(request.what()),
                HasSubstr("the loss of batch 3 of epoch 0 is 9, the mean of the last 3 was 1"));
  }
}

TEST_F(SpikeDetectionTest, StateComesBack) {
  const auto first = detection();
  Model calm({1, 1, 1, 1, 1, 1});
  fit(calm, first);
  const auto second = detection();
  second->load_state_dict(first->state_dict());
  Model model({4, 5});
  EXPECT_THROW(fit(model, second), TrainingSpikeException) << "the mean of before still counts";
  EXPECT_NO_THROW(fit(model, detection())) << "alone it is no spike";
}

TEST_F(SpikeDetectionTest, FiniteGuardRollsBackBeforeTheParametersHaveSeenIt) {
  Model model({1, 1, INFINITY, 1});
  try {
    fit(model, std::make_shared<FiniteGuard>(
                   FiniteGuardOptions{.action = NonFiniteAction::kRollBack, .max_roll_backs = 2}));
    FAIL();
  } catch (const RollBackRequest& request) {
    EXPECT_EQ(request.before(), 2);
    EXPECT_THAT(request.skip(), ElementsAre(BatchPlace{0, 1}, BatchPlace{0, 2}));
    EXPECT_EQ(request.max_roll_backs(), 2);
    EXPECT_THAT(std::string(request.what()), HasSubstr("FiniteGuard: NaN or infinity at step 2"));
  }
}

TEST_F(SpikeDetectionTest, ImpossibleArgumentsAreRefused) {
  EXPECT_THROW(SpikeDetection(SpikeDetectionOptions{.mode = "least"}), MisconfigurationException);
  EXPECT_THROW(SpikeDetection(SpikeDetectionOptions{.window = 0}), MisconfigurationException);
}

}  // namespace
}  // namespace lctl
