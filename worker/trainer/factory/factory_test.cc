#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "jobspec/config.h"
#include "jobspec/keys/key_table.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/factory/callbacks.h"
#include "worker/trainer/factory/data_modules.h"
#include "worker/trainer/factory/loggers.h"
#include "worker/trainer/factory/optimizers.h"
#include "worker/trainer/factory/profilers.h"
#include "worker/trainer/factory/trainer_options.h"
#include "worker/trainer/models/factory.h"

namespace lctl {
namespace {

using ::testing::IsSupersetOf;
using ::testing::UnorderedElementsAreArray;

// Every class that a job file may name can be built, and no factory knows a name that job files do
// not.
void expect_same(jobspec::keys::Kind kind, const std::vector<std::string_view>& built) {
  EXPECT_THAT(built, IsSupersetOf(jobspec::keys::available_names(kind)));
  for (const std::string_view name : built) {
    EXPECT_NE(jobspec::keys::find_class(kind, name), nullptr) << name << " is not in the key table";
  }
}

TEST(FactoryTest, KeyTableAndFactoriesNameTheSameClasses) {
  expect_same(jobspec::keys::Kind::kModel, model_names());
  expect_same(jobspec::keys::Kind::kLayer, layer_names());
  expect_same(jobspec::keys::Kind::kData, data_module_names());
  expect_same(jobspec::keys::Kind::kOptimizer, optimizer_names());
  expect_same(jobspec::keys::Kind::kLrScheduler, lr_scheduler_names());
  expect_same(jobspec::keys::Kind::kCallback, callback_names());
  expect_same(jobspec::keys::Kind::kLogger, logger_names());
  expect_same(jobspec::keys::Kind::kProfiler, profiler_names());
}

constexpr char kJob[] = R"(
model: {class_path: Classifier, init_args: {layers: [{Linear: {in_features: 8, out_features: 4}}]}}
data: {class_path: SyntheticDataModule}
optimizer: {class_path: SGD, init_args: {lr: 0.1}}
)";

jobspec::Config configuration(const std::vector<std::string>& overrides) {
  jobspec::ParseOptions options;
  options.overrides = overrides;
  auto config = jobspec::parse(kJob, options);
  EXPECT_TRUE(config.ok()) << config.status();
  return *std::move(config);
}

TEST(TrainerOptionsTest, DefaultsAreLightnings) {
  const TrainerOptions options = trainer_options(configuration({}).trainer);
  EXPECT_EQ(options.max_steps, -1);
  EXPECT_FALSE(options.max_epochs.has_value());
  EXPECT_EQ(options.log_every_n_steps, 50);
  EXPECT_EQ(options.num_sanity_val_steps, 2);
  EXPECT_EQ(options.precision, "32-true");
  EXPECT_EQ(options.limit_train_batches, Limit(1.0));
  EXPECT_EQ(options.check_val_every_n_epoch, 1);
}

TEST(TrainerOptionsTest, IntsAndFloatsOfLimitsAreToldApart) {
  const auto options = trainer_options(
      configuration({"--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1.0"})
          .trainer);
  EXPECT_EQ(options.limit_train_batches, Limit(std::int64_t{1}));
  EXPECT_EQ(options.limit_val_batches, Limit(1.0));
}

TEST(TrainerOptionsTest, FastDevRunForcesItsLimits) {
  const auto options = trainer_options(
      configuration({"--trainer.fast_dev_run=3", "--trainer.max_epochs=7"}).trainer);
  EXPECT_EQ(options.max_steps, 3);
  EXPECT_EQ(options.max_epochs, 1);
  EXPECT_EQ(options.num_sanity_val_steps, 0);
  EXPECT_EQ(options.limit_val_batches, Limit(std::int64_t{3}));
}

TEST(TrainerOptionsTest, DevicesAreCountsOrIds) {
  EXPECT_EQ(std::get<std::int64_t>(
                trainer_options(configuration({"--trainer.devices=2"}).trainer).devices),
            2);
  EXPECT_EQ(std::get<std::int64_t>(
                trainer_options(configuration({"--trainer.devices='3'"}).trainer).devices),
            3);
  EXPECT_THAT(std::get<std::vector<std::int64_t>>(
                  trainer_options(configuration({"--trainer.devices='0,2'"}).trainer).devices),
              ::testing::ElementsAre(0, 2));
  EXPECT_EQ(trainer_options(configuration({"--trainer.devices=auto"}).trainer).devices.index(), 0u);
}

TEST(CallbacksTest, DefaultsAreAddedAndConflictsRefused) {
  TrainerOptions options = trainer_options(configuration({}).trainer);
  std::vector<std::string> names;
  for (const auto& callback : make_callbacks({}, options, true))
    names.push_back(callback->type_name());
  EXPECT_THAT(names, ::testing::ElementsAre("TQDMProgressBar", "ModelSummary", "ModelCheckpoint"));
  options.enable_checkpointing = false;
  const auto config = configuration({"--trainer.callbacks=[{class_path: ModelCheckpoint}]"});
  EXPECT_THROW(make_callbacks(config.callbacks, options, true), MisconfigurationException);
}

}  // namespace
}  // namespace lctl
