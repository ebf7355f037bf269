#include "jobspec/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/status.h"

namespace lctl::jobspec {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kMinimal[] =
    "model:\n"
    "  class_path: Classifier\n"
    "  init_args: {layers: [{Linear: {in_features: 8, out_features: 4}}]}\n"
    "data: {class_path: SyntheticDataModule}\n"
    "optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 0.1}}\n";

absl::StatusOr<Config> with(std::vector<std::string> overrides, ParseOptions options = {}) {
  options.overrides = std::move(overrides);
  return parse(kMinimal, options);
}

std::string refusal(const absl::StatusOr<Config>& config) {
  EXPECT_FALSE(config.ok());
  return std::string(message_of(config.status()));
}

TEST(ConfigTest, DefaultsAreLightningsAndTheJobsOwn) {
  const auto config = parse(kMinimal, {.file_name = "folder/digits.yaml"});
  ASSERT_TRUE(config.ok()) << message_of(config.status());
  EXPECT_EQ(config->seed_everything, 0);  // LightningCLI's: seed_everything(True)
  EXPECT_EQ(config->trainer.get_int("max_steps"), -1);
  EXPECT_EQ(config->trainer.get_int("log_every_n_steps"), 50);
  EXPECT_FALSE(config->trainer.get_optional_int("max_epochs").has_value());
  EXPECT_EQ(config->logger, LoggerChoice::kDefault);
  EXPECT_EQ(config->optimizer->class_name, "AdamW");
  EXPECT_DOUBLE_EQ(config->optimizer->init_args.get_double("lr"), 0.1);
  EXPECT_THAT(config->optimizer->init_args.get_doubles("betas"), ElementsAre(0.9, 0.999));
  EXPECT_EQ(config->job.name(), "digits");
  EXPECT_EQ(config->job.experiment(), "default");
  EXPECT_EQ(config->job.priority(), 50);
  EXPECT_EQ(config->job.resources().nodes(), 1);
}

TEST(ConfigTest, CanonicalTextIsTheSameConfiguration) {
  const auto config = with({"--job.resources.nodes=2", "--job.tags={owner: me}",
                            "--trainer.callbacks+={class_path: ModelCheckpoint}"});
  ASSERT_TRUE(config.ok()) << message_of(config.status());
  const auto again = parse(config->canonical_yaml(), {.check_files = false});
  ASSERT_TRUE(again.ok()) << message_of(again.status());
  EXPECT_EQ(again->tree, config->tree);
  EXPECT_EQ(again->trainer, config->trainer);
  EXPECT_EQ(again->callbacks, config->callbacks);
  EXPECT_EQ(again->job.resources().nodes(), 2);
  EXPECT_EQ(again->job.tags().at("owner"), "me");
}

TEST(ConfigTest, DevicesAreSaidOnceAndReachBothSides) {
  const auto from_job = with({"--job.resources.nodes=2", "--job.resources.devices=3"});
  ASSERT_TRUE(from_job.ok());
  EXPECT_EQ(from_job->trainer.get_int("num_nodes"), 2);
  const auto from_trainer = with({"--trainer.num_nodes=2", "--trainer.devices=3"});
  ASSERT_TRUE(from_trainer.ok());
  EXPECT_EQ(from_trainer->job.resources().nodes(), 2);
  EXPECT_EQ(from_trainer->job.resources().devices_per_node(), 3);
  EXPECT_THAT(refusal(with({"--trainer.num_nodes=2", "--job.resources.nodes=3"})),
              HasSubstr("contradicts trainer.num_nodes"));
}

TEST(ConfigTest, OverridesSetAppendAndReachIntoLists) {
  const auto config =
      with({"--trainer.max_epochs=3", "trainer.min_epochs=1", "--optimizer.lr=0.5",
            "--trainer.callbacks+={class_path: EarlyStopping, init_args: {monitor: val/loss}}",
            "--trainer.callbacks.0.init_args.patience=9"});
  ASSERT_TRUE(config.ok()) << message_of(config.status());
  EXPECT_EQ(config->trainer.get_int("max_epochs"), 3);
  EXPECT_EQ(config->trainer.get_int("min_epochs"), 1);
  EXPECT_DOUBLE_EQ(config->optimizer->init_args.get_double("lr"), 0.5);
  ASSERT_EQ(config->callbacks.size(), 1U);
  EXPECT_EQ(config->callbacks[0].init_args.get_int("patience"), 9);
}

TEST(ConfigTest, EnvironmentGivesTrainerArgumentsThatNobodyElseDoes) {
  ParseOptions options;
  options.environment = [](const char* name) -> const char* {
    const std::string_view variable = name;
    if (variable == "PL_TRAINER_MAX_EPOCHS") return "3";
    if (variable == "PL_TRAINER_MIN_STEPS") return "None";
    if (variable == "PL_TRAINER_INFERENCE_MODE") return "False";
    if (variable == "PL_TRAINER_LIMIT_VAL_BATCHES") return "0.5";
    return nullptr;
  };
  const auto config = with({"--trainer.limit_val_batches=2"}, options);
  ASSERT_TRUE(config.ok()) << message_of(config.status());
  EXPECT_EQ(config->trainer.get_optional_int("max_epochs"), 3);
  EXPECT_FALSE(config->trainer.get_optional_int("min_steps").has_value());
  EXPECT_FALSE(config->trainer.get_bool("inference_mode"));
  EXPECT_EQ(config->trainer.get("limit_val_batches").as_int(), 2);

  options.environment = [](const char* name) -> const char* {
    return std::string_view(name) == "PL_TRAINER_MAX_EPOCHS" ? "many" : nullptr;
  };
  EXPECT_THAT(refusal(with({}, options)),
              HasSubstr("PL_TRAINER_MAX_EPOCHS=many: trainer.max_epochs"));
}

TEST(ConfigTest, AnotherClassKeepsTheArgumentsThatItShares) {
  const auto config = with({"--optimizer=SGD", "--optimizer.momentum=0.9"});
  ASSERT_TRUE(config.ok()) << message_of(config.status());
  EXPECT_EQ(config->optimizer->class_name, "SGD");
  EXPECT_DOUBLE_EQ(config->optimizer->init_args.get_double("lr"), 0.1);
  EXPECT_DOUBLE_EQ(config->optimizer->init_args.get_double("momentum"), 0.9);
}

TEST(ConfigTest, WrongOverridesAreNamedAsTheyWereGiven) {
  EXPECT_THAT(refusal(with({"--trainer.max_epoch=3"})),
              HasSubstr("--trainer.max_epoch=3: trainer.max_epoch: unknown key; did you mean "
                        "`max_epochs`?"));
  EXPECT_THAT(refusal(with({"--trainer.max_epochs=three"})),
              HasSubstr("--trainer.max_epochs=three: trainer.max_epochs: expected int"));
  EXPECT_THAT(refusal(with({"--trainer.callbacks.7.init_args.patience=1"})),
              HasSubstr("--trainer.callbacks.7"));
  EXPECT_THAT(refusal(with({"--trainer.max_epochs=[1"})), HasSubstr("--trainer.max_epochs=[1"));
  for (const char* text :
       {"", "--", "=", "--=3", "--..=3", "--trainer..max_epochs=3", "--trainer"}) {
    EXPECT_FALSE(with({text}).ok()) << text;
  }
}

TEST(ConfigTest, EverythingThatIsWrongIsSaidAtOnce) {
  Findings findings;
  const auto config =
      parse("trainer: {max_epochs: x, max_step: 3}\nmodel: {class_path: Clasifier}\nextra: 1\n", {},
            findings);
  EXPECT_FALSE(config.ok());
  std::vector<std::string> keys;
  for (const SpecError& error : findings.errors()) keys.push_back(error.key);
  EXPECT_THAT(keys, testing::IsSupersetOf({"trainer.max_epochs", "trainer.max_step",
                                           "model.class_path", "extra", "data", "optimizer"}));
}

TEST(ConfigTest, OnlyTrainingNeedsAnOptimizer) {
  constexpr char kNoOptimizer[] =
      "model: {class_path: Classifier, init_args: {layers: [{Linear: {in_features: 8, "
      "out_features: 4}}]}}\ndata: {class_path: SyntheticDataModule}\n";
  EXPECT_FALSE(parse(kNoOptimizer).ok());
  const auto validate = parse(kNoOptimizer, {.command = Command::kValidate});
  EXPECT_TRUE(validate.ok()) << message_of(validate.status());
}

TEST(ConfigTest, InputPathsAreRelativeToWhereTheyWereWritten) {
  constexpr char kCsv[] =
      "model: {class_path: Classifier, init_args: {layers: [{Linear: {in_features: 8, "
      "out_features: 4}}]}}\n"
      "data: {class_path: CsvDataModule, init_args: {path: d.csv, label: y}}\n"
      "optimizer: {class_path: SGD, init_args: {lr: 0.1}}\n";
  ParseOptions options{.base_dir = "/jobs", .current_dir = "/here", .check_files = false};
  EXPECT_EQ(parse(kCsv, options)->data.init_args.get_string("path"), "/jobs/d.csv");
  options.overrides = {"--data.path=e.csv"};
  EXPECT_EQ(parse(kCsv, options)->data.init_args.get_string("path"), "/here/e.csv");
  options.overrides = {"--data.path=/abs/f.csv"};
  EXPECT_EQ(parse(kCsv, options)->data.init_args.get_string("path"), "/abs/f.csv");
}

TEST(ConfigTest, AFolderMayBeAnArchive) {
  const std::string temp = ::testing::TempDir();
  std::ofstream(temp + "/photos.tgz") << "x";
  const auto message = [&](const std::string& train) {
    const std::string text =
        "model: {class_path: Classifier, init_args: {layers: [{Linear: {in_features: 8, "
        "out_features: 4}}]}}\n"
        "data: {class_path: ImageFolderDataModule, init_args: {train: \"" +
        train +
        "\"}}\n"
        "optimizer: {class_path: SGD, init_args: {lr: 0.1}}\n";
    const auto config = parse(text, {.base_dir = temp});
    return config.ok() ? config->data.init_args.get_string("train")
                       : std::string(config.status().message());
  };
  for (const char* good : {"photos.tgz", "photos.tgz!/train", "https://h/p.zip#sha256=00!/train"})
    EXPECT_THAT(message(good), testing::EndsWith(good));
  EXPECT_THAT(message("gone.tgz!/train"), HasSubstr("gone.tgz: No such file"));
  std::ofstream(temp + "/photos.csv") << "x";
  EXPECT_THAT(message("photos.csv"), HasSubstr("expected a folder, or a .tar, .tar.gz"));
}

TEST(ConfigTest, WhatIsNoJobFileIsRefusedAndNeverTakenApart) {
  for (const char* text : {"", "just text", "[1, 2]", "3", "trainer: 3\nmodel: 4\ndata: []\n",
                           "model: {class_path: 3}\n", "model: {class_path: }\n",
                           "trainer: {callbacks: {}}\n", "trainer: {callbacks: [3]}\n",
                           "job: {resources: 3}\n", "lr_scheduler: []\n", "tune: 3\n"}) {
    EXPECT_FALSE(parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace lctl::jobspec
