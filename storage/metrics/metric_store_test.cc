#include "storage/metrics/metric_store.h"

#include <cmath>
#include <limits>

#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class MetricStoreTest : public StoreTest {
 protected:
  MetricStoreTest() { job_ = add_job(store()); }

  AttemptId attempt(AttemptNumber number) const { return {job_, number}; }
  std::string checkpoint_at(AttemptNumber number, std::int64_t step) {
    const absl::StatusOr<CheckpointId> id = upload(store(), {attempt(number), step});
    EXPECT_EQ(text_of(id.status()), "OK");
    return id.ok() ? id->str() : "";
  }
  std::vector<std::int64_t> curve() { return steps_of(store(), job_); }

  JobId job_;
};

TEST_F(MetricStoreTest, NanAndInfinitiesSurvive) {
  start_attempt(store(), job_, 1);
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> values = {std::nan(""), infinity, -infinity, 1e308, 5e-324, 0.1};
  std::vector<SpooledEvent> records;
  for (std::size_t i = 0; i < values.size(); ++i) {
    records.push_back(metric_record(i * kRecordBytes, static_cast<std::int64_t>(i), values[i]));
  }
  ASSERT_TRUE(
      store()
          .events()
          .apply({attempt(1), 0, StreamKind::kEvents}, 0, values.size() * kRecordBytes, records)
          .ok());
  reopen();
  const auto points = *store().metrics().read({.job = job_, .key = "train/loss"});
  ASSERT_EQ(points.size(), values.size());
  EXPECT_TRUE(std::isnan(points[0].value));
  for (std::size_t i = 1; i < values.size(); ++i) EXPECT_EQ(points[i].value, values[i]);

  const auto summaries = *store().metrics().summaries(job_);
  ASSERT_EQ(summaries.size(), 1u);
  EXPECT_EQ(summaries[0].points, 6);
  EXPECT_EQ(summaries[0].min, 5e-324) << "over finite values only";
  EXPECT_EQ(summaries[0].max, 1e308);
}

class NodeSeriesTest : public MetricStoreTest {
 protected:
  // Seconds after the job's submission.
  void measure(AttemptNumber number, std::int64_t second, const std::string& key, double value) {
    const StreamKey stream{attempt(number), 0, StreamKind::kNode};
    const std::uint64_t from = *store().events().committed_offset(stream);
    SpooledEvent record = metric_record(from, /*step=*/77, value, key);
    const v1::Job job = *store().jobs().get(job_);
    record.event.set_time_us(job.submitted_us() + second * 1'000'000);
    ASSERT_EQ(text_of(store().events().apply(stream, from, from + kRecordBytes, {record}).status()),
              "OK");
  }
  const std::string key_ = "system/node-1/cpu_utilization_percentage";
};

TEST_F(NodeSeriesTest, GoesOverAllAttemptsInSecondsSinceTheSubmission) {
  start_attempt(store(), job_, 1);
  measure(1, 10, key_, 50);
  measure(1, 20, key_, 60);
  log_steps(store(), attempt(1), 0, 3);
  start_attempt(store(), job_, 2);  // from the beginning: all that was logged is superseded
  measure(2, 30, key_, 70);
  measure(2, -5, key_, 80);  // the node's clock is behind
  EXPECT_THAT(curve(), ElementsAre());
  EXPECT_THAT(steps_of(store(), job_, key_), ElementsAre(0, 10, 20, 30));
  const auto summaries = *store().metrics().summaries(job_);
  ASSERT_EQ(summaries.size(), 1u);
  EXPECT_EQ(summaries[0].points, 4);
  EXPECT_TRUE(summaries[0].measured_by_nodes);
}

TEST_F(NodeSeriesTest, KeysWithoutThePrefixAreNotTheNodes) {
  start_attempt(store(), job_, 1);
  measure(1, 10, "train/loss", 50);
  EXPECT_TRUE(store().metrics().summaries(job_)->empty());
}

TEST_F(NodeSeriesTest, WhatTheJobLogsItselfTakesTheKey) {
  start_attempt(store(), job_, 1);
  measure(1, 10, key_, 50);
  ASSERT_TRUE(store()
                  .events()
                  .apply({attempt(1), 0, StreamKind::kEvents}, 0, kRecordBytes,
                         {metric_record(0, 3, 1.5, key_)})
                  .ok());
  measure(1, 20, key_, 60);
  EXPECT_THAT(steps_of(store(), job_, key_), ElementsAre(3));
  EXPECT_FALSE(store().metrics().summaries(job_)->front().measured_by_nodes);
}

TEST_F(MetricStoreTest, SeriesOfNothingButNanHasNoExtremes) {
  start_attempt(store(), job_, 1);
  ASSERT_TRUE(store()
                  .events()
                  .apply({attempt(1), 0, StreamKind::kEvents}, 0, kRecordBytes,
                         {metric_record(0, 0, std::nan(""))})
                  .ok());
  const auto summaries = *store().metrics().summaries(job_);
  EXPECT_TRUE(std::isnan(summaries[0].min));
  EXPECT_TRUE(std::isnan(summaries[0].max));
  EXPECT_TRUE(std::isnan(summaries[0].last.value));
}

TEST_F(MetricStoreTest, PointsCarryAllTheirFields) {
  start_attempt(store(), job_, 1);
  log_steps(store(), attempt(1), 25, 1);
  const auto points = *store().metrics().read({.job = job_, .key = "train/loss"});
  ASSERT_EQ(points.size(), 1u);
  EXPECT_EQ(points[0].step, 25);
  EXPECT_EQ(points[0].epoch, 2);
  EXPECT_EQ(points[0].time_us, 1'000'025);
  EXPECT_EQ(points[0].value, 25);
  EXPECT_EQ(points[0].attempt, 1);
}

TEST_F(MetricStoreTest, RangeOfStepsIsHalfOpen) {
  start_attempt(store(), job_, 1);
  log_steps(store(), attempt(1), 0, 10);
  const auto points =
      *store().metrics().read({.job = job_, .key = "train/loss", .from_step = 3, .to_step = 6});
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points.front().step, 3);
  EXPECT_EQ(points.back().step, 5);
}

TEST_F(MetricStoreTest, DownSampledReadKeepsEndsAndExtremes) {
  start_attempt(store(), job_, 1);
  log_steps(store(), attempt(1), 0, 500);
  const auto points = *store().metrics().read({.job = job_, .key = "train/loss", .max_points = 10});
  EXPECT_LE(points.size(), 10u);
  EXPECT_EQ(points.front().step, 0);
  EXPECT_EQ(points.back().step, 499);
  for (const int bad : {-1, 1, 3}) {
    EXPECT_EQ(store()
                  .metrics()
                  .read({.job = job_, .key = "train/loss", .max_points = bad})
                  .status()
                  .code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(MetricStoreTest, UnknownKeyNamesTheNearest) {
  start_attempt(store(), job_, 1);
  EXPECT_THAT(text_of(store().metrics().read({.job = job_, .key = "x"}).status()),
              HasSubstr("has logged none yet"));
  log_steps(store(), attempt(1), 0, 1);
  const absl::Status status = store().metrics().read({.job = job_, .key = "train_loss"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(text_of(status), HasSubstr("did you mean 'train/loss'?"));
  EXPECT_EQ(store().metrics().read({.job = JobId("no"), .key = "x"}).status().code(),
            absl::StatusCode::kNotFound);
}

// Lineage. In each case: what the attempts logged, what they resumed from, and the curve.

//   attempt 1  0 1 2 3 4 5 6 7   checkpoint at 5
//   attempt 2            5 6     from it
TEST_F(MetricStoreTest, ResumeSupersedesWhatLiesBehindItsCheckpoint) {
  start_attempt(store(), job_, 1);
  log_steps(store(), attempt(1), 0, 8);
  const std::string at_5 = checkpoint_at(1, 5);
  start_attempt(store(), job_, 2, at_5);
  EXPECT_THAT(curve(), ElementsAre(0, 1, 2, 3, 4)) << "at once, before attempt 2 logs anything";
  log_steps(store(), attempt(2), 5, 2);

  EXPECT_THAT(curve(), ElementsAre(0, 1, 2, 3, 4, 5, 6));
  EXPECT_THAT(steps_of(store(), job_, "train/loss", true),
              ElementsAre(0, 1, 2, 3, 4, 5, 5, 6, 6, 7));
  const auto summary = *store().metrics().summaries(job_);
  EXPECT_EQ(summary[0].points, 7);
  EXPECT_EQ(summary[0].last.step, 6);
  EXPECT_EQ(summary[0].last.attempt, 2);
  EXPECT_EQ(summary[0].max, 6);
}

//   attempt 1  0 1 2 3
//   attempt 2  0 1         from the beginning
TEST_F(MetricStoreTest, AttemptFromTheBeginningSupersedesAllBeforeIt) {
  start_attempt(store(), job_, 1);
  log_steps(store(), attempt(1), 0, 4);
  start_attempt(store(), job_, 2);
  EXPECT_THAT(curve(), ElementsAre());
  log_steps(store(), attempt(2), 0, 2);
  EXPECT_THAT(curve(), ElementsAre(0, 1));
}

//   attempt 1  0 1 2 3 4        checkpoint at 3
//   attempt 2        3 4 5 6    from it, checkpoint at its third record (step 5)
//   attempt 3            5 6    from that
TEST_F(MetricStoreTest, ChainOfSeveralResumesIsFollowed) {
  start_attempt(store(), job_, 1);
  log_steps(store(), attempt(1), 0, 5);
  start_attempt(store(), job_, 2, checkpoint_at(1, 3));
  log_steps(store(), attempt(2), 3, 4);
  start_attempt(store(), job_, 3, checkpoint_at(2, 2));  // offsets of attempt 2's own spool
  log_steps(store(), attempt(3), 5, 2);
  EXPECT_THAT(curve(), ElementsAre(0, 1, 2, 3, 4, 5, 6));
  const auto points = *store().metrics().read({.job = job_, .key = "train/loss"});
  std::vector<int> attempts;
  for (const MetricPoint& point : points) attempts.push_back(point.attempt);
  EXPECT_THAT(attempts, ElementsAre(1, 1, 1, 2, 2, 3, 3));
}

//   attempt 1  0 1 2 3 4        checkpoint at 3
//   attempt 2        3 4        from it, dies without a checkpoint
//   attempt 3        3          from attempt 1's again
TEST_F(MetricStoreTest, AttemptOutsideTheChainLeavesTheCurve) {
  start_attempt(store(), job_, 1);
  log_steps(store(), attempt(1), 0, 5);
  const std::string at_3 = checkpoint_at(1, 3);
  start_attempt(store(), job_, 2, at_3);
  log_steps(store(), attempt(2), 3, 2);
  start_attempt(store(), job_, 3, at_3);
  log_steps(store(), attempt(3), 3, 1);
  EXPECT_THAT(curve(), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(store().metrics().summaries(job_)->front().last.attempt, 3);
}

TEST_F(MetricStoreTest, KeysComeSortedAndOnlyWithPointsOnTheCurve) {
  start_attempt(store(), job_, 1);
  const StreamKey stream{attempt(1), 0, StreamKind::kEvents};
  ASSERT_TRUE(store()
                  .events()
                  .apply(stream, 0, 300,
                         {metric_record(0, 0, 1, "z"), metric_record(100, 0, 2, "a"),
                          metric_record(200, 1, 3, "gone")})
                  .ok());
  start_attempt(store(), job_, 2, checkpoint_at(1, 2));
  const auto summaries = *store().metrics().summaries(job_);
  ASSERT_EQ(summaries.size(), 2u);
  EXPECT_EQ(summaries[0].key, "a");
  EXPECT_EQ(summaries[1].key, "z");
}

}  // namespace
}  // namespace lctl::storage
