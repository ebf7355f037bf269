// What is averaged and how; whole runs are compared with Lightning's in the conformance suite.
#include <ATen/ops/full.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>

#include <string>
#include <vector>

#include "worker/trainer/callbacks/averaged_model.h"
#include "worker/trainer/callbacks/stochastic_weight_averaging.h"
#include "worker/trainer/callbacks/weight_averaging.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/lightning_module.h"

namespace lctl {
namespace {

using Part = AveragedModel::Part;

class Model final : public LightningModule {
 public:
  Model() : LightningModule("Model") {
    linear = register_module("linear", torch::nn::Linear(2, 2));
    norm = register_module("norm", torch::nn::BatchNorm1d(2));
    tied = register_parameter("tied", linear->weight);
  }
  void fill(double value) {
    const at::NoGradGuard no_grad;
    for (const NamedTensor& item : state_list()) {
      at::Tensor tensor = item.tensor;
      tensor.fill_(value);
    }
  }
  torch::nn::Linear linear{nullptr};
  torch::nn::BatchNorm1d norm{nullptr};
  at::Tensor tied;
};

double value_of(const checkpoint::Dict& state, const char* name) {
  return state.at(name).as_tensor().flatten()[0].item().toDouble();
}

TEST(AveragedModelTest, EqualAverageOfWhatItWasGiven) {
  Model model;
  AveragedModel averaged(model, c10::kCPU);
  std::int64_t count = 0;
  for (const double value : {3.0, 6.0, 12.0}) {
    model.fill(value);
    averaged.update(Part::kAll, count++, equal_average());
  }
  const checkpoint::Dict state = averaged.state_dict();
  EXPECT_EQ(value_of(state, "linear.weight"), 7.0) << "the values before the first do not count";
  EXPECT_EQ(value_of(state, "tied"), 7.0) << "averaged once, though it has two names";
  EXPECT_EQ(value_of(state, "norm.running_var"), 7.0);
  EXPECT_EQ(value_of(state, "norm.num_batches_tracked"), 6.0) << "integers round down each time";
  EXPECT_EQ(state.at("norm.num_batches_tracked").as_tensor().scalar_type(), at::kLong);
  EXPECT_EQ(model.linear->weight[0][0].item().toDouble(), 12.0) << "the model itself is untouched";
}

TEST(AveragedModelTest, ParametersAloneLeaveBuffersAsTheyWere) {
  Model model;
  model.fill(1.0);
  AveragedModel averaged(model, c10::kCPU);
  model.fill(2.0);
  averaged.update(Part::kParameters, 0, exponential_average(0.5));
  model.fill(4.0);
  averaged.update(Part::kParameters, 1, exponential_average(0.5));
  EXPECT_EQ(value_of(averaged.state_dict(), "norm.weight"), 3.0);
  EXPECT_EQ(value_of(averaged.state_dict(), "norm.running_mean"), 1.0);
}

TEST(AveragedModelTest, SwappingTwiceChangesNothing) {
  Model model;
  model.fill(1.0);
  AveragedModel averaged(model, c10::kCPU);
  model.fill(5.0);
  averaged.swap_with_module();
  EXPECT_EQ(model.linear->bias[0].item().toDouble(), 1.0);
  EXPECT_EQ(value_of(averaged.state_dict(), "linear.bias"), 5.0);
  averaged.swap_with_module();
  EXPECT_EQ(model.linear->bias[0].item().toDouble(), 5.0);
  EXPECT_TRUE(model.linear->bias.requires_grad());
}

TEST(AveragedModelTest, WhatDoesNotFitIsNamed) {
  Model model;
  AveragedModel averaged(model, c10::kCPU);
  checkpoint::Dict state = averaged.state_dict();
  state.set("linear.bias", at::full({3}, 1.0));
  try {
    averaged.load_state_dict(state, /*strict=*/true);
    FAIL() << "accepted";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("\"linear.bias\" has another shape"),
              std::string::npos)
        << error.what();
  }
  EXPECT_THROW(averaged.load_state_dict({}, /*strict=*/true), std::runtime_error);
  EXPECT_NO_THROW(averaged.load_state_dict({}, /*strict=*/false));
}

TEST(BatchNormStatisticsTest, AreGatheredAnewWithEqualWeights) {
  Model model;
  ASSERT_TRUE(model.has_batch_norm());
  const auto feed = [&model](double value) { model.norm->forward(at::full({4, 2}, value)); };
  feed(100.0);
  model.begin_statistics(/*from_zero=*/true);
  feed(1.0);
  feed(2.0);
  feed(6.0);
  model.end_statistics();
  EXPECT_FLOAT_EQ(model.norm->running_mean[0].item().toFloat(), 3.0F);
  EXPECT_EQ(model.norm->num_batches_tracked.item().toLong(), 3);
  EXPECT_EQ(model.norm->options.momentum(), 0.1) << "its own is back";
}

TEST(EmaWeightAveragingTest, UpdatesWhereItIsTold) {
  const EMAWeightAveraging every_third({.update_every_n_steps = 3, .update_starting_at_step = 4});
  std::vector<std::int64_t> steps;
  for (std::int64_t step = 0; step < 12; ++step) {
    if (every_third.should_update_after_step(step)) steps.push_back(step);
  }
  EXPECT_EQ(steps, (std::vector<std::int64_t>{6, 9}));
  EXPECT_FALSE(every_third.should_update_after_epoch(100));
  const EMAWeightAveraging epochs({.update_starting_at_epoch = 2});
  EXPECT_FALSE(epochs.should_update_after_epoch(1));
  EXPECT_TRUE(epochs.should_update_after_epoch(2));
}

TEST(StochasticWeightAveragingTest, ImpossibleArgumentsAreRefusedInLightningsWords) {
  const auto message = [](StochasticWeightAveragingOptions options) -> std::string {
    try {
      StochasticWeightAveraging callback(std::move(options));
    } catch (const MisconfigurationException& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message({.swa_lrs = {0.1}}), "");
  EXPECT_EQ(message({.swa_lrs = {}}),
            "The `swa_lrs` should a positive float, or a list of positive floats");
  EXPECT_EQ(message({.swa_lrs = {0.1, 0.0}}),
            "The `swa_lrs` should a positive float, or a list of positive floats");
  for (const std::variant<std::int64_t, double>& start :
       {std::variant<std::int64_t, double>(std::int64_t{0}), {1.5}, {-0.5}}) {
    EXPECT_EQ(message({.swa_lrs = {0.1}, .swa_epoch_start = start}),
              "swa_epoch_start should be a >0 integer or a float between 0 and 1.");
  }
}

}  // namespace
}  // namespace lctl
