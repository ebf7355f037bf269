#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "worker/trainer/callbacks/early_stopping.h"
#include "worker/trainer/callbacks/model_checkpoint.h"
#include "worker/trainer/callbacks/model_summary.h"
#include "worker/trainer/core/errors.h"

namespace lctl {
namespace {

MonitorCandidates metrics() {
  return {{"val/loss", MetricValue(1.0 / 3, false), std::nullopt},
          {"epoch", MetricValue(2, true), 2},
          {"step", MetricValue(18, true), 18},
          {"epoch_test", MetricValue(7, false), std::nullopt}};
}

TEST(CheckpointNameTest, DefaultIsEpochAndStep) {
  EXPECT_EQ(format_checkpoint_name("", metrics(), true), "epoch=2-step=18");
}

TEST(CheckpointNameTest, NamesAreInsertedOrNot) {
  EXPECT_EQ(format_checkpoint_name("{epoch:02d}-{val/loss:.2f}", metrics(), true),
            "epoch=02-val/loss=0.33");
  EXPECT_EQ(format_checkpoint_name("e{epoch}-l{val/loss:.2f}", metrics(), false), "e2-l0.33");
  EXPECT_EQ(format_checkpoint_name("epoch={epoch}", metrics(), true), "epoch=epoch=2");
}

TEST(CheckpointNameTest, LongNamesAreNotEatenByShortOnes) {
  EXPECT_EQ(format_checkpoint_name("{epoch}{epoch_test:.0f}", metrics(), true),
            "epoch=2epoch_test=7");
}

TEST(CheckpointNameTest, MissingMetricIsZero) {
  EXPECT_EQ(format_checkpoint_name("{nope:.2f}-{nope}", metrics(), true), "nope=0.00-nope=0");
}

TEST(CheckpointNameTest, ValuesAreWidenedFloats) {
  EXPECT_EQ(format_checkpoint_name("{val/loss}", metrics(), false), "0.3333333432674408");
}

TEST(CheckpointNameTest, WrongFormatIsRefused) {
  EXPECT_THROW(format_checkpoint_name("{val/loss:d}", metrics(), true), std::invalid_argument);
}

TEST(ModelCheckpointTest, StateKeyIsPythons) {
  ModelCheckpointOptions options;
  options.monitor = "val/loss";
  EXPECT_EQ(ModelCheckpoint(options).state_key(),
            "ModelCheckpoint{'monitor': 'val/loss', 'mode': 'min', 'every_n_train_steps': 0, "
            "'every_n_epochs': 1, "
            "'train_time_interval': None}");
}

TEST(ModelCheckpointTest, ImpossibleArgumentsAreRefused) {
  ModelCheckpointOptions options;
  options.save_top_k = -2;
  EXPECT_THROW(ModelCheckpoint{options}, MisconfigurationException);
  options = {};
  options.save_top_k = 3;
  EXPECT_THROW(ModelCheckpoint{options}, MisconfigurationException);
  options = {};
  options.every_n_train_steps = 2;
  options.every_n_epochs = 1;
  EXPECT_THROW(ModelCheckpoint{options}, MisconfigurationException);
  options = {};
  options.mode = "best";
  EXPECT_THROW(ModelCheckpoint{options}, MisconfigurationException);
}

TEST(EarlyStoppingTest, StateSurvivesARoundTrip) {
  EarlyStoppingOptions options;
  options.monitor = "v";
  EarlyStopping stopper(options);
  EXPECT_EQ(stopper.state_key(), "EarlyStopping{'monitor': 'v', 'mode': 'min'}");
  checkpoint::Dict state = stopper.state_dict();
  state.set("wait_count", 2);
  state.set("stopped_epoch", 5);
  EarlyStopping other(options);
  other.load_state_dict(state);
  EXPECT_EQ(other.wait_count(), 2);
  EXPECT_EQ(other.stopped_epoch(), 5);
}

TEST(ModelSummaryTest, CountsReadLikeLightnings) {
  EXPECT_EQ(human_readable_count(301), "301  ");
  EXPECT_EQ(human_readable_count(1800), "1.8 K");
  EXPECT_EQ(human_readable_count(123456), "123 K");
  EXPECT_EQ(human_readable_count(2'000'000), "2.0 M");
}

}  // namespace
}  // namespace lctl
