#include <ATen/ATen.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/trainer/callbacks/backbone_finetuning.h"
#include "worker/trainer/core/lightning_module.h"
#include "worker/trainer/optim/adam.h"
#include "worker/trainer/optim/sgd.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Model final : public LightningModule {
 public:
  explicit Model(bool with_backbone = true) : LightningModule("Model") {
    if (with_backbone) {
      backbone = register_module(
          "backbone", torch::nn::Sequential(torch::nn::Linear(3, 4), torch::nn::BatchNorm1d(4),
                                            torch::nn::ReLU(), torch::nn::Linear(4, 4)));
    }
    head = register_module("head", torch::nn::Linear(4, 2));
  }
  std::vector<std::string> frozen() const {
    std::vector<std::string> names;
    for (const NamedTensor& parameter : parameter_list()) {
      if (!parameter.tensor.requires_grad()) names.push_back(parameter.name);
    }
    return names;
  }
  std::vector<at::Tensor> learning() const {
    std::vector<at::Tensor> tensors;
    for (const NamedTensor& parameter : parameter_list()) {
      if (parameter.tensor.requires_grad()) tensors.push_back(parameter.tensor);
    }
    return tensors;
  }
  torch::nn::BatchNorm1dImpl& norm() { return *backbone->ptr(1)->as<torch::nn::BatchNorm1d>(); }

  torch::nn::Sequential backbone = nullptr;
  torch::nn::Linear head = nullptr;
};

std::vector<double> rates(Optimizer& optimizer) {
  std::vector<double> all;
  for (const ParamGroup& group : optimizer.param_groups()) all.push_back(group.lr);
  return all;
}

TEST(BackboneFinetuningTest, TheBackboneJoinsLateAndItsRateDoublesUpToTheRests) {
  Model model;
  BackboneFinetuning callback({.unfreeze_backbone_at_epoch = 2});
  callback.freeze_before_training(model);
  EXPECT_THAT(model.frozen(), ElementsAre("backbone.0.weight", "backbone.0.bias",
                                          "backbone.3.weight", "backbone.3.bias"));
  SGD optimizer(model.learning(), {.lr = 0.1, .momentum = 0.9});
  std::vector<std::vector<double>> seen;
  for (std::int64_t epoch = 0; epoch < 7; ++epoch) {
    callback.finetune_function(model, epoch, optimizer);
    seen.push_back(rates(optimizer));
  }
  // Recorded from Lightning.
  const std::vector<std::vector<double>> expected = {{0.1},
                                                     {0.1},
                                                     {0.1, 0.010000000000000002},
                                                     {0.1, 0.020000000000000004},
                                                     {0.1, 0.04000000000000001},
                                                     {0.1, 0.08000000000000002},
                                                     {0.1, 0.1}};
  EXPECT_EQ(seen, expected);
  EXPECT_TRUE(model.frozen().empty());
  EXPECT_EQ(optimizer.param_groups()[1].params.size(), 4u);
  EXPECT_EQ(optimizer.param_groups()[1].options.at("momentum").as_double(), 0.9);
}

TEST(BackboneFinetuningTest, RateAndScheduleAreTheUsers) {
  Model model;
  BackboneFinetuning callback({.unfreeze_backbone_at_epoch = 0,
                               .lambda_func = [](std::int64_t epoch) { return 1.0 + epoch; },
                               .backbone_initial_lr = 0.25,
                               .should_align = false});
  callback.freeze_before_training(model);
  SGD optimizer(model.learning(), {.lr = 0.1});
  callback.finetune_function(model, 0, optimizer);
  EXPECT_THAT(rates(optimizer), ElementsAre(0.1, 0.25));
  callback.finetune_function(model, 1, optimizer);
  EXPECT_THAT(rates(optimizer), ElementsAre(0.1, 0.75));
  EXPECT_EQ(callback.state_dict().at("previous_backbone_lr").as_double(), 0.75);
}

TEST(BackboneFinetuningTest, StateIsLightningsAndComesBack) {
  BackboneFinetuning callback({});
  checkpoint::Dict state = callback.state_dict();
  EXPECT_EQ(state.at("internal_optimizer_metadata").as_dict().size(), 0u);
  EXPECT_TRUE(state.at("previous_backbone_lr").is_none());
  EXPECT_EQ(callback.state_key(), "BackboneFinetuning");
  state.set("previous_backbone_lr", 0.5);
  callback.load_state_dict(state);
  EXPECT_EQ(callback.state_dict().at("previous_backbone_lr").as_double(), 0.5);
}

TEST(BackboneFinetuningTest, AModelWithoutABackboneIsRefused) {
  Model model(/*with_backbone=*/false);
  BackboneFinetuning callback({});
  try {
    callback.freeze_before_training(model);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("'Model' object has no attribute 'backbone'"));
  }
}

TEST(BackboneFinetuningTest, ALateStartWithoutItsStateIsExplained) {
  Model model;
  BackboneFinetuning callback({.unfreeze_backbone_at_epoch = 1});
  SGD optimizer(model.learning(), {.lr = 0.1});
  EXPECT_THROW(callback.finetune_function(model, 3, optimizer), std::runtime_error);
}

class Finetuning final : public BaseFinetuning {
 public:
  void freeze_before_training(TrainableModule&) override {}
  void finetune_function(TrainableModule&, std::int64_t, Optimizer&) override {}
};

TEST(BaseFinetuningTest, ModulesAreLeavesAndOwnersOfParameters) {
  Model model;
  EXPECT_EQ(BaseFinetuning::flatten_modules({*model.backbone}).size(), 4u);
  EXPECT_EQ(BaseFinetuning::flatten_modules({*model.backbone, *model.backbone}).size(), 4u);
  EXPECT_EQ(BaseFinetuning::filter_params({*model.backbone}).size(), 6u);
  EXPECT_EQ(BaseFinetuning::filter_params({*model.backbone}, /*train_bn=*/false).size(), 4u);
  EXPECT_EQ(BaseFinetuning::filter_params({*model.backbone}, true, false).size(), 0u);
}

// As Python's layer with track_running_stats off, which LibTorch's does not do.
TEST(BaseFinetuningTest, AFrozenBatchNormKeepsItsStatistics) {
  Model model;
  Finetuning callback;
  torch::nn::BatchNorm1dImpl& norm = model.norm();
  const at::Tensor x = at::arange(12).view({3, 4}).to(at::kFloat);
  norm.forward(x);
  const at::Tensor mean = norm.running_mean.clone();
  callback.freeze({*model.backbone}, /*train_bn=*/false);
  EXPECT_EQ(model.frozen().size(), 6u);
  const at::Tensor frozen = norm.forward(x);
  EXPECT_TRUE(norm.running_mean.equal(mean));
  EXPECT_EQ(model.state_dict().at("backbone.1.num_batches_tracked").as_tensor().item<int>(), 1);
  EXPECT_TRUE(
      frozen.equal(at::batch_norm(x, norm.weight, norm.bias, {}, {}, true, 0.1, 1e-5, false)));
  norm.eval();
  EXPECT_TRUE(norm.forward(x).allclose(at::batch_norm(x, norm.weight, norm.bias, norm.running_mean,
                                                      norm.running_var, false, 0.1, 1e-5, false)));
  norm.train();
  callback.make_trainable({*model.backbone});
  norm.forward(x + 1);
  EXPECT_FALSE(norm.running_mean.equal(mean));
  EXPECT_EQ(model.state_dict().at("backbone.1.num_batches_tracked").as_tensor().item<int>(), 2);
  EXPECT_TRUE(model.frozen().empty());
}

TEST(BaseFinetuningTest, FreezingLeavesBatchNormsTrainableByDefault) {
  Model model;
  Finetuning callback;
  callback.freeze({*model.backbone});
  EXPECT_EQ(model.frozen().size(), 4u);
  EXPECT_TRUE(model.norm().weight.requires_grad());
}

TEST(BaseFinetuningTest, ParametersOfEqualValuesCountAsThere) {
  Model model;
  SGD optimizer({model.head->weight, at::zeros({4}).set_requires_grad(true)}, {.lr = 0.1});
  const at::Tensor zeros = at::zeros({4}).set_requires_grad(true);
  const at::Tensor ones = at::ones({4}).set_requires_grad(true);
  const auto added = BaseFinetuning::filter_on_optimizer(optimizer, {zeros, ones});
  ASSERT_EQ(added.size(), 1u);
  EXPECT_TRUE(added[0].is_same(ones));
}

TEST(BaseFinetuningTest, ARateIsAShareOfTheFirstGroups) {
  Model model;
  Finetuning callback;
  callback.freeze({*model.backbone}, /*train_bn=*/false);
  Adam optimizer(model.learning(), {.lr = 0.1, .betas = {0.8, 0.9}});
  callback.unfreeze_and_add_param_group({*model.backbone}, optimizer);
  EXPECT_THAT(rates(optimizer), ElementsAre(0.1, 0.01));
  EXPECT_EQ(optimizer.param_groups()[1].params.size(), 6u);
}

}  // namespace
}  // namespace lctl
