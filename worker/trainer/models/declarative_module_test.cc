#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <stdexcept>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobspec/config.h"
#include "worker/trainer/models/factory.h"
#include "worker/trainer/models/loss.h"

namespace lctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

jobspec::Config config_of(const std::string& model) {
  const auto config =
      jobspec::parse("model: " + model + "\ndata: {class_path: SyntheticDataModule}\n",
                     {.command = jobspec::Command::kValidate});
  if (!config.ok()) throw std::runtime_error(std::string(message_of(config.status())));
  return *config;
}

// Remembers what a module logs.
class FakeSink final : public LogSink {
 public:
  struct Entry {
    std::string name;
    double value;
    LogOptions options;
  };
  void log(std::string_view name, const at::Tensor& value, const LogOptions& options) override {
    entries.push_back({std::string(name), value.item<double>(), options});
  }
  void log(std::string_view name, double value, const LogOptions& options) override {
    entries.push_back({std::string(name), value, options});
  }
  std::vector<std::string> names() const {
    std::vector<std::string> list;
    for (const Entry& entry : entries) list.push_back(entry.name);
    return list;
  }
  std::vector<Entry> entries;
};

constexpr const char* kClassifier =
    "{class_path: Classifier, init_args: {layers: [{Linear: {in_features: 2, out_features: 2}}], "
    "metrics: [accuracy, acc], log: {train/loss: {on_epoch: true, prog_bar: true}, val/loss: "
    "{sync_dist: false, reduce_fx: max}}}}";

// Weights that make the output equal to the input.
std::shared_ptr<TrainableModule> identity_model(const std::string& model) {
  const auto module = make_model(config_of(model).model, nullptr);
  for (const NamedTensor& item : module->parameter_list()) {
    at::Tensor values = item.tensor.detach();
    values.zero_();
    if (values.dim() == 2) values.fill_diagonal_(1);
  }
  return module;
}

Batch two_samples() {
  return Batch(Batch::List{at::tensor({2.0F, 0.0F, 0.0F, 1.0F}).view({2, 2}),
                           at::tensor(std::vector<std::int64_t>{0, 0})});
}

TEST(DeclarativeModuleTest, ParametersHavePythonsNames) {
  const auto module = make_model(
      config_of(
          "{class_path: Classifier, init_args: {layers: [{Linear: {in_features: 8, out_features: "
          "4}}, {BatchNorm1d: {num_features: 4}}, ReLU, {Linear: {in_features: 4, out_features: "
          "2}}]}}")
          .model,
      nullptr);
  std::vector<std::string> names;
  for (const NamedTensor& item : module->state_list()) names.push_back(item.name);
  EXPECT_THAT(names, ElementsAre("net.0.weight", "net.0.bias", "net.1.weight", "net.1.bias",
                                 "net.1.running_mean", "net.1.running_var",
                                 "net.1.num_batches_tracked", "net.3.weight", "net.3.bias"));
  EXPECT_EQ(module->parameter_list().size(), 6u);
  EXPECT_EQ(module->type_name(), "Classifier");
}

TEST(DeclarativeModuleTest, AStepLogsLossThenMetricsInOrder) {
  const auto module = identity_model(kClassifier);
  FakeSink sink;
  module->attach(nullptr, &sink);
  const StepOutput output = module->training_step(two_samples(), 0);
  EXPECT_THAT(sink.names(), ElementsAre("train/loss", "train/accuracy", "train/acc"));
  // Logits (2, 0) and (0, 1), both of class 0: one right, one wrong.
  const double expected = (std::log(1 + std::exp(-2.0)) + std::log(1 + std::exp(1.0))) / 2;
  EXPECT_NEAR(output.loss.item<double>(), expected, 1e-6);
  EXPECT_NEAR(sink.entries[0].value, expected, 1e-6);
  EXPECT_EQ(sink.entries[1].value, 0.5);
  EXPECT_EQ(sink.entries[2].value, 0.5);
  EXPECT_TRUE(output.loss.requires_grad());
}

TEST(DeclarativeModuleTest, LogFlagsGoOverTheDefaultsOfEachStage) {
  const auto module = identity_model(kClassifier);
  FakeSink sink;
  module->attach(nullptr, &sink);
  module->training_step(two_samples(), 0);
  EXPECT_EQ(sink.entries[0].options.on_epoch, true);
  EXPECT_TRUE(sink.entries[0].options.prog_bar);
  EXPECT_FALSE(sink.entries[0].options.on_step.has_value());
  EXPECT_FALSE(sink.entries[1].options.sync_dist);
  sink.entries.clear();
  module->validation_step(two_samples(), 0, 0);
  EXPECT_THAT(sink.names(), ElementsAre("val/loss", "val/accuracy", "val/acc"));
  EXPECT_FALSE(sink.entries[0].options.sync_dist);
  EXPECT_EQ(sink.entries[0].options.reduce_fx, Reduction::kMax);
  EXPECT_TRUE(sink.entries[1].options.sync_dist);
  sink.entries.clear();
  module->test_step(two_samples(), 0, 0);
  EXPECT_THAT(sink.names(), ElementsAre("test/loss", "test/accuracy", "test/acc"));
  EXPECT_TRUE(sink.entries[0].options.sync_dist);
}

TEST(DeclarativeModuleTest, PredictGivesTheOutputs) {
  const auto module = identity_model(kClassifier);
  const Batch batch = two_samples();
  EXPECT_TRUE(module->predict_step(batch, 0, 0).tensor().equal(batch[std::size_t{0}].tensor()));
}

TEST(DeclarativeModuleTest, HyperParametersAreThoseOfTheFileWithNoneForTheRest) {
  const auto module = make_model(
      config_of("{class_path: Regressor, init_args: {layers: [ReLU, {Linear: {in_features: 2, "
                "out_features: 1}}], metrics: [mae]}}")
          .model,
      nullptr);
  const checkpoint::Dict& hparams = module->hparams();
  std::vector<std::string> names;
  for (const auto& [key, value] : hparams.entries()) names.push_back(key.as_string());
  EXPECT_THAT(names, ElementsAre("layers", "loss", "metrics", "log"));
  EXPECT_EQ(hparams.at("layers").as_list().at(0).as_string(), "ReLU");
  EXPECT_EQ(hparams.at("layers")
                .as_list()
                .at(1)
                .as_dict()
                .at("Linear")
                .as_dict()
                .at("in_features")
                .as_int(),
            2);
  EXPECT_TRUE(hparams.at("loss").is_none());
  EXPECT_EQ(hparams.at("metrics").as_list().size(), 1u);
  EXPECT_TRUE(hparams.at("log").is_none());
  EXPECT_EQ(module->hparams_name(), "kwargs");
}

TEST(DeclarativeModuleTest, RegressorsDefaultLossIsMse) {
  const auto module =
      make_model(config_of("{class_path: Regressor, init_args: {layers: [{Linear: {in_features: 1, "
                           "out_features: 1}}], metrics: [mae, mse]}}")
                     .model,
                 nullptr);
  for (const NamedTensor& item : module->parameter_list()) item.tensor.detach().zero_();
  FakeSink sink;
  module->attach(nullptr, &sink);
  const at::Tensor target = at::tensor({2.0F, -4.0F}).view({2, 1});
  const StepOutput output = module->training_step(Batch(Batch::List{target, target}), 0);
  EXPECT_EQ(output.loss.item<double>(), 10.0);
  EXPECT_EQ(sink.entries[1].value, 3.0);
  EXPECT_EQ(sink.entries[2].value, 10.0);
}

TEST(DeclarativeModuleTest, OptimizerFactoryGetsTheParametersInOrder) {
  std::vector<at::Tensor> seen;
  const auto module =
      make_model(config_of(kClassifier).model, [&seen](std::vector<at::Tensor> parameters) {
        seen = std::move(parameters);
        return OptimizersConfig{};
      });
  module->configure_optimizers();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].dim(), 2);
  EXPECT_EQ(seen[1].dim(), 1);
}

constexpr const char* kWithBackbone =
    "{class_path: Classifier, init_args: {layers: [{Linear: {in_features: 3, out_features: 2}}], "
    "backbone: [{Embedding: {num_embeddings: 5, embedding_dim: 3}}, {Select: {dim: 1, index: 0}}], "
    "example_input_shape: [2, 4]}}";

TEST(DeclarativeModuleTest, ABackboneStandsBeforeTheNet) {
  const auto module = make_model(config_of(kWithBackbone).model, nullptr);
  std::vector<std::string> names;
  for (const NamedTensor& item : module->state_list()) names.push_back(item.name);
  EXPECT_THAT(names, ElementsAre("backbone.0.weight", "net.0.weight", "net.0.bias"));
  EXPECT_EQ(module->example_input_array.tensor().scalar_type(), at::kLong);
  EXPECT_EQ(module->call(module->example_input_array).tensor().sizes(), at::IntArrayRef({2, 2}));
  std::vector<std::string> hparams;
  for (const auto& [key, value] : module->hparams().entries()) hparams.push_back(key.as_string());
  EXPECT_THAT(hparams,
              ElementsAre("layers", "loss", "metrics", "log", "backbone", "example_input_shape"));
}

TEST(DeclarativeModuleTest, WithABackboneTheOptimizerGetsWhatLearns) {
  std::vector<at::Tensor> seen;
  const auto module =
      make_model(config_of(kWithBackbone).model, [&seen](std::vector<at::Tensor> parameters) {
        seen = std::move(parameters);
        return OptimizersConfig{};
      });
  module->configure_optimizers();
  EXPECT_EQ(seen.size(), 3u);
  module->parameter_list()[0].tensor.set_requires_grad(false);
  module->configure_optimizers();
  EXPECT_EQ(seen.size(), 2u);
}

TEST(DeclarativeModuleTest, AnExampleInputDrawsNothing) {
  at::manual_seed(1);
  const auto plain = make_model(config_of(kClassifier).model, nullptr);
  const at::Tensor expected = at::rand({2});
  at::manual_seed(1);
  const auto module = make_model(
      config_of("{class_path: Classifier, init_args: {layers: [{Linear: {in_features: 2, "
                "out_features: 2}}], example_input_shape: [1, 2]}}")
          .model,
      nullptr);
  EXPECT_TRUE(at::rand({2}).equal(expected));
  EXPECT_EQ(module->example_input_array.tensor().scalar_type(), at::kFloat);
  EXPECT_TRUE(plain->example_input_array.is_none());
}

std::string refusal(const std::string& log) {
  try {
    make_model(
        config_of("{class_path: Classifier, init_args: {layers: [ReLU], log: " + log + "}}").model,
        nullptr);
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

TEST(DeclarativeModuleTest, BadLogFlagsAreRefusedWithTheKey) {
  EXPECT_THAT(refusal("{train/loss: {on_stop: true}}"), HasSubstr("on_stop"));
  EXPECT_THAT(refusal("{train/loss: {on_step: 3}}"), HasSubstr("on_step"));
  EXPECT_THAT(refusal("{train/loss: {reduce_fx: median}}"), HasSubstr("median"));
  EXPECT_THAT(refusal("{train/loss: 5}"), HasSubstr("train/loss"));
}

TEST(LossTest, BinaryCrossEntropyNeedsEqualShapesAndCountsSigns) {
  const LossFunction loss = find_loss("binary_cross_entropy_with_logits");
  const at::Tensor logits = at::tensor({3.0F, -3.0F}).view({2, 1});
  const at::Tensor ones = at::full({2, 1}, 1.0F);
  EXPECT_NEAR(loss(logits, ones).item<double>(),
              (std::log(1 + std::exp(-3.0)) + std::log(1 + std::exp(3.0))) / 2, 1e-6);
  EXPECT_THROW(loss(logits, at::full({2}, 1.0F)), std::invalid_argument);
  const MetricFunction accuracy = find_metric("accuracy", "binary_cross_entropy_with_logits");
  EXPECT_EQ(accuracy(logits, ones).item<double>(), 0.5);
}

TEST(LossTest, RegressionLossesBroadcast) {
  const at::Tensor output = at::tensor({1.0F, 3.0F}).view({2, 1});
  const at::Tensor target = at::tensor({1.0F}).view({1, 1});
  EXPECT_EQ(find_loss("l1_loss")(output, target).item<double>(), 1.0);
  EXPECT_EQ(find_loss("smooth_l1_loss")(output, target).item<double>(), 0.75);
}

TEST(LossTest, UnknownNamesAreListed) {
  EXPECT_THROW(find_metric("f1", "mse_loss"), std::invalid_argument);
  try {
    find_loss("hinge");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("cross_entropy, nll_loss"));
  }
}

}  // namespace
}  // namespace lctl
