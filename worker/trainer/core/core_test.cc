#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <cmath>
#include <stdexcept>

#include "worker/trainer/core/lightning_module.h"
#include "worker/trainer/core/python_format.h"
#include "worker/trainer/core/random.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(PythonFormatTest, ReprOfFloatsIsPythons) {
  EXPECT_EQ(python_repr(1.0), "1.0");
  EXPECT_EQ(python_repr(0.800000011920929), "0.800000011920929");
  EXPECT_EQ(python_repr(1e-05), "1e-05");
  EXPECT_EQ(python_repr(0.0001), "0.0001");
  EXPECT_EQ(python_repr(1e16), "1e+16");
  EXPECT_EQ(python_repr(123456789012345680.0), "1.2345678901234568e+17");
  EXPECT_EQ(python_repr(-0.5), "-0.5");
  EXPECT_EQ(python_repr(std::nan("")), "nan");
  EXPECT_EQ(python_repr(-INFINITY), "-inf");
}

TEST(PythonFormatTest, FormatSpecsOfFileNames) {
  EXPECT_EQ(python_format(std::int64_t{5}, "03d"), "005");
  EXPECT_EQ(python_format(std::int64_t{5}, ""), "5");
  EXPECT_EQ(python_format(0.333333, ".2f"), "0.33");
  EXPECT_EQ(python_format(std::int64_t{0}, ".2f"), "0.00");
  EXPECT_EQ(python_format(-1.5, "+08.2f"), "-0001.50");
  EXPECT_EQ(python_format(0.25, ".1%"), "25.0%");
  EXPECT_EQ(python_format(1234567.0, ",.1f"), "1,234,567.0");
  EXPECT_EQ(python_format(1e-7, ".3g"), "1e-07");
  EXPECT_EQ(python_format(1234.5, ".5"), "1234.5");
  EXPECT_EQ(python_format(12345.67, ".5"), "1.2346e+04");
  EXPECT_EQ(python_format(99999.6, ".5"), "1e+05");
  EXPECT_EQ(python_format(12.0, ".5"), "12.0");
  EXPECT_EQ(python_format(1.022e-6, ".5"), "1.022e-06");
  EXPECT_EQ(python_format(0.0, ".5"), "0.0");
  EXPECT_EQ(python_format(0.5, ">6"), "   0.5");
}

TEST(PythonFormatTest, WrongCodeIsRefusedInPythonsWords) {
  try {
    python_format(0.5, "d");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "Unknown format code 'd' for object of type 'float'");
  }
}

TEST(RandomTest, SeedGivesTorchsNumbers) {
  seed_everything(42, true, nullptr);
  const at::Tensor draw = torch::rand({3});
  EXPECT_NEAR(draw[0].item<float>(), 0.8823f, 5e-5);
  EXPECT_NEAR(draw[2].item<float>(), 0.3829f, 5e-5);
  EXPECT_EQ(global_seed(), 42);
}

TEST(RandomTest, IsolationUndoesDraws) {
  seed_everything(1, true, nullptr);
  const at::Tensor first = torch::rand({2});
  seed_everything(1, true, nullptr);
  {
    const RandomIsolation isolation(nullptr);
    torch::rand({100});
  }
  EXPECT_TRUE(torch::equal(first, torch::rand({2})));
}

TEST(RandomTest, SeedOutOfBoundsIsRefused) {
  EXPECT_THROW(seed_everything(-1, true, nullptr), std::invalid_argument);
  EXPECT_THROW(seed_everything(4294967296, true, nullptr), std::invalid_argument);
}

class TwoLayers : public LightningModule {
 public:
  explicit TwoLayers(std::int64_t width = 3) : LightningModule("TwoLayers") {
    first_ = register_module("first", torch::nn::Linear(2, width));
    norm_ = register_module("norm", torch::nn::BatchNorm1d(width));
  }
  StepOutput training_step(const Batch&, std::int64_t) override { return {}; }

 private:
  torch::nn::Linear first_{nullptr};
  torch::nn::BatchNorm1d norm_{nullptr};
};

TEST(LightningModuleTest, StateHasPythonsNamesOrderAndVersions) {
  const TwoLayers module;
  const checkpoint::Dict state = module.state_dict();
  std::vector<std::string> names;
  for (const auto& [name, value] : state.entries()) names.push_back(name.as_string());
  EXPECT_THAT(names,
              ElementsAre("first.weight", "first.bias", "norm.weight", "norm.bias",
                          "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"));
  ASSERT_TRUE(state.metadata);
  EXPECT_EQ(state.metadata->at("first").as_dict().at("version").as_int(), 1);
  EXPECT_EQ(state.metadata->at("norm").as_dict().at("version").as_int(), 2);
}

TEST(LightningModuleTest, StrictLoadNamesMissingAndMisshapenKeys) {
  TwoLayers module;
  checkpoint::Dict state = TwoLayers(4).state_dict();
  try {
    module.load_state_dict(state, true);
    FAIL() << "loaded";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("size mismatch for first.weight"));
  }
  try {
    module.load_state_dict({}, true);
    FAIL() << "loaded";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("Missing key(s) in state_dict: \"first.weight\""));
  }
  module.load_state_dict({}, false);
}

TEST(LightningModuleTest, ModesAreRestoredOneByOne) {
  TwoLayers module;
  module.children()[1]->eval();
  const std::vector<bool> before = module.training_flags();
  EXPECT_THAT(before, ElementsAre(true, true, false));
  module.set_training(false);
  module.set_training_flags(before);
  EXPECT_EQ(module.training_flags(), before);
}

TEST(TrainableModuleTest, KnowsWhichStepsAClassReplaces) {
  TwoLayers module;
  EXPECT_TRUE(module.overrides(Hook::validation_step));  // not told yet: assumed
  TrainableModule::remember_overrides(module);
  EXPECT_TRUE(module.overrides(Hook::training_step));
  EXPECT_FALSE(module.overrides(Hook::validation_step));
}

}  // namespace
}  // namespace lctl
