#include "worker/trainer/trainer/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/trainer/core/errors.h"

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
}

}  // namespace
}  // namespace lctl
