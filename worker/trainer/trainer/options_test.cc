#include "worker/trainer/trainer/options.h"

#include <ATen/Context.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/trainer/torch_flags.h"

namespace lctl {
namespace {

using ::testing::HasSubstr;

std::string refusal(const TrainerOptions& options) {
  try {
    settle_options(options);
  } catch (const MisconfigurationException& error) {
    return error.what();
  }
  return "accepted";
}

TEST(OptionsTest, LimitsAreCheckedByName) {
  TrainerOptions options;
  options.limit_train_batches = 1.5;
  EXPECT_EQ(refusal(options),
            "You have passed invalid value 1.5 for limit_train_batches, it has to be in [0.0, 1.0] "
            "or an int.");
  options.limit_train_batches = 2.0;
  EXPECT_EQ(settle_options(options).limit_train_batches, Limit(std::int64_t{2}));
}

TEST(OptionsTest, OverfitBatchesReplacesTrainAndValidationLimits) {
  TrainerOptions options;
  options.overfit_batches = std::int64_t{3};
  const TrainerOptions settled = settle_options(options);
  EXPECT_EQ(settled.limit_train_batches, Limit(std::int64_t{3}));
  EXPECT_EQ(settled.limit_val_batches, Limit(std::int64_t{3}));
  EXPECT_EQ(settled.limit_test_batches, Limit(1.0));
}

TEST(OptionsTest, OverfitBatchesWinsOverFastDevRun) {
  TrainerOptions options;
  options.overfit_batches = std::int64_t{3};
  options.fast_dev_run = 2;
  const TrainerOptions settled = settle_options(options);
  EXPECT_EQ(settled.limit_train_batches, Limit(std::int64_t{3}));
  EXPECT_EQ(settled.max_steps, 2);
}

TEST(OptionsTest, ImpossibleNumbersAreRefused) {
  TrainerOptions options;
  options.max_epochs = -2;
  EXPECT_THAT(refusal(options),
              HasSubstr("`max_epochs` must be a non-negative integer or -1. You passed in -2."));
  options = {};
  options.accumulate_grad_batches = 0;
  EXPECT_THAT(refusal(options), HasSubstr("accumulate_grad_batches"));
  options = {};
  options.fast_dev_run = -1;
  EXPECT_THAT(refusal(options), HasSubstr("fast_dev_run=-1 is not a valid configuration"));
}

TEST(OptionsTest, BarebonesTurnsEverythingOff) {
  TrainerOptions options;
  options.barebones = true;
  const TrainerOptions settled = settle_options(options);
  EXPECT_FALSE(settled.enable_checkpointing);
  EXPECT_FALSE(settled.enable_progress_bar);
  EXPECT_EQ(settled.log_every_n_steps, 0);
  EXPECT_EQ(settled.num_sanity_val_steps, 0);
  EXPECT_FALSE(settled.logger.use_default);
}

TEST(OptionsTest, BarebonesRefusesWhatWasAskedForBesideIt) {
  const auto refused = [](TrainerOptions options) {
    options.barebones = true;
    try {
      settle_options(options);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  TrainerOptions nothing_asked_for;
  nothing_asked_for.enable_checkpointing = false;
  nothing_asked_for.logger = false;
  nothing_asked_for.num_sanity_val_steps = 0;
  EXPECT_EQ(refused(nothing_asked_for), "accepted");
  TrainerOptions options;
  options.enable_model_summary = true;
  EXPECT_EQ(refused(options),
            "`Trainer(barebones=True, enable_model_summary=True)` was passed. Model summary can "
            "impact raw speed so it is disabled in barebones mode.");
  options = {};
  options.logger = true;
  EXPECT_THAT(refused(options), HasSubstr("`Trainer(barebones=True, logger=True)` was passed."));
  options = {};
  options.log_every_n_steps = 50;
  EXPECT_THAT(refused(options), HasSubstr("log_every_n_steps=50"));
  options = {};
  options.fast_dev_run = 1;
  EXPECT_EQ(refused(options),
            "`Trainer(barebones=True, fast_dev_run=True)` was passed. Development run is not meant "
            "for raw speed evaluation so it is disabled in barebones mode.");
  options = {};
  options.profiler = "simple";
  EXPECT_THAT(refused(options), HasSubstr("profiler='simple'"));
}

std::string lines_about(const TrainerOptions& options) {
  ::testing::internal::CaptureStderr();
  settle_options(options);
  return ::testing::internal::GetCapturedStderr();
}

TEST(OptionsTest, OneAndOnePointZeroAreExplainedWhenGiven) {
  EXPECT_EQ(lines_about({}), "");
  TrainerOptions ints;
  ints.limit_train_batches = 1;
  ints.limit_val_batches = 1;
  ints.val_check_interval = 1;
  EXPECT_EQ(lines_about(ints),
            "`Trainer(limit_train_batches=1)` was configured so 1 batch per epoch will be used.\n"
            "`Trainer(limit_val_batches=1)` was configured so 1 batch will be used.\n"
            "`Trainer(val_check_interval=1)` was configured so validation will run after every "
            "batch.\n");
  TrainerOptions floats;
  floats.limit_train_batches = 1.0;
  floats.limit_test_batches = 1.0;
  floats.val_check_interval = 1.0;
  EXPECT_EQ(lines_about(floats),
            "`Trainer(limit_train_batches=1.0)` was configured so 100% of the batches per epoch "
            "will be used..\n"
            "`Trainer(limit_test_batches=1.0)` was configured so 100% of the batches will be "
            "used..\n"
            "`Trainer(val_check_interval=1.0)` was configured so validation will run at the end of "
            "the training epoch..\n");
  floats.fast_dev_run = 1;
  EXPECT_EQ(lines_about(floats), "");
}

TEST(OptionsTest, AShareOfTheEpochNeedsEpochs) {
  TrainerOptions options;
  options.check_val_every_n_epoch.reset();
  EXPECT_EQ(refusal(options), "accepted") << "the default was not given";
  options.val_check_interval = 1.0;
  EXPECT_THAT(refusal(options), HasSubstr("`val_check_interval` should be an integer"));
}

TEST(TorchFlagsTest, DeterminismReachesLibTorch) {
  TrainerOptions options;
  set_torch_flags(options);
  EXPECT_FALSE(at::globalContext().deterministicAlgorithms());
  at::globalContext().setBenchmarkCuDNN(true);
  options.deterministic = Determinism::kWarn;
  set_torch_flags(options);
  EXPECT_TRUE(at::globalContext().deterministicAlgorithms());
  EXPECT_TRUE(at::globalContext().deterministicAlgorithmsWarnOnly());
  EXPECT_FALSE(at::globalContext().benchmarkCuDNN());
  EXPECT_STREQ(std::getenv("CUBLAS_WORKSPACE_CONFIG"), ":4096:8");
  options.deterministic = Determinism::kOff;
  options.benchmark = true;
  set_torch_flags(options);
  EXPECT_FALSE(at::globalContext().deterministicAlgorithms());
  EXPECT_TRUE(at::globalContext().benchmarkCuDNN());
}

TEST(OptionsTest, BarebonesRefusesAProfiler) {
  TrainerOptions options;
  options.barebones = true;
  options.profiler = "simple";
  try {
    settle_options(options);
    FAIL() << "a profiler in barebones mode";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("`Trainer(barebones=True, profiler='simple')` was passed."));
  }
}

}  // namespace
}  // namespace lctl
