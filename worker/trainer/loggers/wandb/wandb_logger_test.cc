#include "worker/trainer/loggers/wandb/wandb_logger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/loggers/wandb/testing/record_reader.h"

namespace lctl {
namespace {

namespace fs = std::filesystem;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wandb::records::Record;

std::map<std::string, std::string> row_of(const Record& record) {
  std::map<std::string, std::string> row;
  for (const auto& item : record.history().item()) {
    if (item.nested_key(0)[0] != '_') row[item.nested_key(0)] = item.value_json();
  }
  return row;
}

// What a job does with it is shown by tests/clients/wandb_test.py.
class WandbLoggerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(::testing::TempDir()) /
            ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(root_);
    options_.save_dir = root_.string();
    options_.id = "run1";
  }
  void TearDown() override { unsetenv("WANDB_MODE"); }

  std::vector<Record> records() const { return wandb::records_of(wandb::only_run_in(root_)); }

  fs::path root_;
  WandbLogger::Options options_;
};

TEST_F(WandbLoggerTest, LogModelOfAnOfflineRunIsRefusedInLightningsWords) {
  options_.offline = true;
  options_.log_model = "all";
  try {
    WandbLogger logger(options_);
    FAIL() << "it was not refused";
  } catch (const MisconfigurationException& error) {
    EXPECT_STREQ(error.what(),
                 "Providing log_model=all and offline=True is an invalid configuration since model "
                 "checkpoints cannot be uploaded in offline mode.\nHint: Set `offline=False` to "
                 "log your model.");
  }
  options_.offline = false;
  EXPECT_THROW(options_.log_model = "best", MisconfigurationException);
  options_.add_file_policy = "moved";
  EXPECT_THROW(WandbLogger{options_}, MisconfigurationException);
}

TEST_F(WandbLoggerTest, NameIsTheProjectAndVersionTheId) {
  options_.project = "proj";
  options_.version = "v7";
  WandbLogger logger(options_);
  EXPECT_EQ(logger.name(), "proj");
  EXPECT_EQ(std::get<std::string>(logger.version()), "v7") << "before id, as in Lightning";
  EXPECT_EQ(logger.save_dir(), root_.string());
  EXPECT_EQ(logger.log_dir(), "");
  EXPECT_FALSE(fs::exists(root_)) << "nothing is made before the run starts";
}

TEST_F(WandbLoggerTest, RowsHaveTheStepAndThePrefix) {
  options_.prefix = "p";
  {
    WandbLogger logger(options_);
    logger.start();
    const std::vector<LoggedMetric> row = {{"train/loss", 0.5}, {"epoch", std::int64_t{1}}};
    logger.log_metrics(row, 7);
    logger.save();
    EXPECT_EQ(row_of(records()[6]),
              (std::map<std::string, std::string>{
                  {"p-train/loss", "0.5"}, {"p-epoch", "1"}, {"trainer/global_step", "7"}}));
    logger.finalize("success");
  }
  EXPECT_EQ(records().back().exit().exit_code(), 0);
}

TEST_F(WandbLoggerTest, AFurtherRunOfTheProcessIsTheSameRunAndItsFailureIsKnown) {
  {
    WandbLogger logger(options_);
    logger.start();
    logger.finalize("success");
    logger.start();
    logger.finalize("failed");
  }
  EXPECT_EQ(records().back().exit().exit_code(), 1);
}

TEST_F(WandbLoggerTest, ADisabledRunWritesNothing) {
  setenv("WANDB_MODE", "disabled", 1);
  WandbLogger logger(options_);
  logger.watch_trained_module({});
  logger.start();
  logger.log_metrics({}, 0);
  logger.log_hyperparams({});
  logger.save();
  logger.finalize("success");
  EXPECT_EQ(logger.experiment(), nullptr);
  EXPECT_THAT(logger.callbacks(), IsEmpty());
  EXPECT_FALSE(fs::exists(root_));
}

TEST_F(WandbLoggerTest, TheTrainerGetsCallbacksOnlyWhereTheyAreNeeded) {
  WandbLogger plain(options_);
  EXPECT_THAT(plain.callbacks(), IsEmpty());
  options_.log_model = true;
  WandbLogger watching(options_);
  watching.watch_trained_module({.log = "all", .log_freq = 10});
  EXPECT_THAT(watching.callbacks(), SizeIs(2));
  EXPECT_EQ(watching.callbacks(), watching.callbacks()) << "the same at each run";
  EXPECT_THROW(watching.watch_trained_module({}), std::invalid_argument) << "once";
  EXPECT_THROW(plain.watch_trained_module({.log = "weights"}), std::invalid_argument);
  EXPECT_THROW(plain.watch_trained_module({.log_freq = 0}), std::invalid_argument);
}

}  // namespace
}  // namespace lctl
