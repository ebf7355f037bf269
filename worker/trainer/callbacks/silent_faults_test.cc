// FiniteGuard and ReplicaCheck: faults that training itself does not notice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>

#include <limits>

#include "worker/trainer/lightning.h"

namespace lctl {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class Model final : public LightningModule {
 public:
  // Rows of two ones; those of `bad` batches are `value`.
  explicit Model(std::vector<std::int64_t> bad, float value = kNan) {
    linear = register_module("linear", torch::nn::Linear(2, 1));
    data_ = torch::ones({6, 2});
    for (const std::int64_t row : bad) data_[row].fill_(value);
  }
  StepOutput training_step(const Batch& batch, std::int64_t) override {
    return linear->forward(batch[0].tensor()).mean();
  }
  void on_train_batch_end(const StepOutput&, const Batch&, std::int64_t) override {
    weights.push_back(linear->weight.detach().clone());
  }
  std::shared_ptr<DataLoader> train_dataloader() override {
    return make_dataloader(std::make_shared<TensorDataset>(std::vector<at::Tensor>{data_}));
  }
  OptimizersConfig configure_optimizers() override {
    return make_optimizer<Adam>(parameters(), {.lr = 0.1});
  }

  torch::nn::Linear linear{nullptr};
  std::vector<at::Tensor> weights;  // after each batch

 private:
  at::Tensor data_;
};

std::string failure_of(Model& model, std::shared_ptr<Callback> guard) {
  Trainer trainer({.accelerator = "cpu",
                   .logger = false,
                   .callbacks = {std::move(guard)},
                   .max_epochs = 1,
                   .enable_checkpointing = false,
                   .enable_progress_bar = false,
                   .enable_model_summary = false});
  try {
    trainer.fit(model);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST(FiniteGuardTest, StopsWhereItBeginsAndSaysWhere) {
  Model model({3});
  EXPECT_THAT(
      failure_of(model, std::make_shared<FiniteGuard>()),
      AllOf(HasSubstr("FiniteGuard: NaN or infinity at step 3 (epoch 0, batch 3); loss nan"),
            HasSubstr("of 1 of 2 parameters, the first 'linear.weight'"),
            HasSubstr("batch[0]: float32 [1, 2], 2 of 2 values are not finite"),
            HasSubstr("`action: skip`")));
  EXPECT_EQ(model.weights.size(), 3u);
  EXPECT_TRUE(torch::isfinite(model.linear->weight).all().item<bool>());
}

TEST(FiniteGuardTest, ASkippedStepChangesNothing) {
  Model model({2, 4}, std::numeric_limits<float>::infinity());
  const auto guard = std::make_shared<FiniteGuard>(
      FiniteGuardOptions{.action = NonFiniteAction::kSkip, .max_skipped = 1});
  EXPECT_EQ(failure_of(model, guard), "");
  EXPECT_EQ(guard->skipped(), 2);
  ASSERT_EQ(model.weights.size(), 6u);
  EXPECT_TRUE(torch::equal(model.weights[1], model.weights[2]));
  EXPECT_FALSE(torch::equal(model.weights[2], model.weights[3]));
  EXPECT_TRUE(torch::equal(model.weights[3], model.weights[4]));
  EXPECT_TRUE(torch::isfinite(model.weights[5]).all().item<bool>());
}

TEST(FiniteGuardTest, TooManySkippedInARowIsAFailure) {
  Model model({2, 3, 4});
  const auto guard = std::make_shared<FiniteGuard>(
      FiniteGuardOptions{.action = NonFiniteAction::kSkip, .max_skipped = 2});
  EXPECT_THAT(failure_of(model, guard), HasSubstr("at step 4 (epoch 0, batch 4), after 2 skipped"));
}

TEST(FiniteGuardTest, CountsSurviveACheckpoint) {
  FiniteGuard guard;
  checkpoint::Dict state = guard.state_dict();
  state.set("skipped", 5);
  guard.load_state_dict(state);
  EXPECT_EQ(guard.skipped(), 5);
}

TEST(FiniteGuardTest, ImpossibleArgumentsAreRefused) {
  EXPECT_THROW(FiniteGuard(FiniteGuardOptions{.max_skipped = -1}), MisconfigurationException);
  EXPECT_THROW(ReplicaCheck(0), MisconfigurationException);
}

TEST(DescribeValuesTest, SaysTypeSizesAndRange) {
  EXPECT_EQ(describe_values(torch::tensor({1.0F, kNan, -2.5F})),
            "float32 [3], 1 of 3 values are not finite, the others -2.5 to 1");
  EXPECT_EQ(describe_values(torch::tensor({{1, 2}})), "int64 [1, 2], 1 to 2");
  EXPECT_EQ(describe_values(torch::empty({0})), "float32 [0]");
}

std::string digests(const std::string& letters) {
  std::string text;
  for (const char letter : letters) text += std::string(64, letter);
  return text;
}

TEST(DescribeDivergenceTest, TheFewerRanksAreNamed) {
  const std::vector<std::string> names = {"a", "b", "c"};
  EXPECT_EQ(describe_divergence(names, std::vector{digests("xyz"), digests("xyw")}),
            "rank 1 differs from the others first in 'c'");
  EXPECT_EQ(describe_divergence(names, std::vector{digests("xww"), digests("xyz"), digests("xyz")}),
            "rank 0 differs from the others first in 'b', and in 1 more of 3 parameters");
  EXPECT_EQ(describe_divergence(
                names, std::vector{digests("xyz"), digests("vyz"), digests("xyz"), digests("xyw")}),
            "ranks 1, 3 differ from the others first in 'a', and in 1 more of 3 parameters");
}

}  // namespace
}  // namespace lctl
