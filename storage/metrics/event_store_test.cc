#include "storage/metrics/event_store.h"

#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class EventStoreTest : public StoreTest {
 protected:
  EventStoreTest() {
    job_ = add_job(store());
    start_attempt(store(), job_, 1);
  }

  EventStore& events() { return store().events(); }
  StreamKey stream(AttemptNumber attempt = 1, int rank = 0,
                   StreamKind kind = StreamKind::kEvents) const {
    return {{job_, attempt}, rank, kind};
  }
  // metric_records(first, count) as one batch.
  absl::StatusOr<Applied> apply(std::int64_t first, std::int64_t count, AttemptNumber attempt = 1) {
    return events().apply(stream(attempt), static_cast<std::uint64_t>(first) * kRecordBytes,
                          static_cast<std::uint64_t>(first + count) * kRecordBytes,
                          metric_records(first, count));
  }
  absl::Status apply_one(v1::Event event, int rank = 0) {
    const std::uint64_t from = *events().committed_offset(stream(1, rank));
    return events()
        .apply(stream(1, rank), from, from + kRecordBytes, {record(from, std::move(event))})
        .status();
  }

  JobId job_;
};

TEST_F(EventStoreTest, BatchMovesTheOffsetAndSaysWhatWasNew) {
  const absl::StatusOr<Applied> first = apply(0, 3);
  ASSERT_EQ(text_of(first.status()), "OK");
  EXPECT_EQ(first->result, Applied::Result::kOk);
  EXPECT_EQ(first->previous_offset, 0u);
  EXPECT_EQ(first->committed_offset, 300u);
  EXPECT_EQ(*events().committed_offset(stream()), 300u);
  EXPECT_THAT(steps_of(store(), job_), ElementsAre(0, 1, 2));
}

TEST_F(EventStoreTest, ResentBatchIsHarmless) {
  ASSERT_TRUE(apply(0, 3).ok());
  const absl::StatusOr<Applied> again = apply(0, 3);
  EXPECT_EQ(again->result, Applied::Result::kOk);
  EXPECT_EQ(again->previous_offset, 300u);
  EXPECT_EQ(again->committed_offset, 300u);
  EXPECT_THAT(steps_of(store(), job_), ElementsAre(0, 1, 2));
}

TEST_F(EventStoreTest, OverlappingBatchAddsOnlyWhatIsNew) {
  ASSERT_TRUE(apply(0, 3).ok());
  EXPECT_EQ(apply(1, 4)->committed_offset, 500u);
  EXPECT_THAT(steps_of(store(), job_), ElementsAre(0, 1, 2, 3, 4));
}

TEST_F(EventStoreTest, BatchBeyondTheOffsetIsAGapAndAppliesNothing) {
  ASSERT_TRUE(apply(0, 1).ok());
  const absl::StatusOr<Applied> gap = apply(2, 1);
  EXPECT_EQ(gap->result, Applied::Result::kGap);
  EXPECT_EQ(gap->committed_offset, 100u);
  EXPECT_THAT(steps_of(store(), job_), ElementsAre(0));
}

TEST_F(EventStoreTest, ReplacedAttemptAndUnknownJobAreFenced) {
  ASSERT_TRUE(apply(0, 2).ok());
  start_attempt(store(), job_, 2);
  EXPECT_EQ(apply(2, 2)->result, Applied::Result::kFenced);
  EXPECT_EQ(apply(0, 2, 3)->result, Applied::Result::kFenced) << "one that is yet to come";
  const StreamKey unknown{{JobId("nothing"), 1}, 0, StreamKind::kEvents};
  EXPECT_EQ(events().apply(unknown, 0, 100, metric_records(0, 1))->result,
            Applied::Result::kFenced);
  EXPECT_EQ(events().append_text(stream(1, 0, StreamKind::kStdout), 0, "x", 1)->result,
            Applied::Result::kFenced);
  EXPECT_THAT(steps_of(store(), job_, "train/loss", true), ElementsAre(0, 1));
}

TEST_F(EventStoreTest, EmptyBatchSkipsToItsEnd) {
  EXPECT_EQ(events().apply(stream(), 0, 250, {})->committed_offset, 250u);
  EXPECT_EQ(*events().committed_offset(stream()), 250u);
}

TEST_F(EventStoreTest, MisshapenBatchesAreRefusedWhole) {
  const auto code = [&](std::uint64_t from, std::uint64_t to, std::vector<SpooledEvent> records) {
    return events().apply(stream(), from, to, records).status().code();
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code(100, 0, {}), invalid);
  EXPECT_EQ(code(0, std::uint64_t{1} << 63, {}), invalid);
  EXPECT_EQ(code(0, 150, metric_records(0, 2)), invalid) << "reaches beyond the batch";
  EXPECT_EQ(code(50, 200, metric_records(0, 2)), invalid) << "begins before the batch";
  EXPECT_EQ(code(0, 300, {metric_record(100, 1, 1), metric_record(0, 0, 0)}), invalid);
  EXPECT_EQ(code(0, 200, {metric_record(0, 0, 0), metric_record(50, 1, 1)}), invalid);
  EXPECT_EQ(*events().committed_offset(stream()), 0u);
}

TEST_F(EventStoreTest, RecordAcrossTheCommittedOffsetIsRefused) {
  ASSERT_TRUE(apply(0, 1).ok());
  const absl::Status status = events().apply(stream(), 0, 150, {metric_record(50, 1, 1)}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(text_of(status), HasSubstr("lies across the committed offset 100"));
}

TEST_F(EventStoreTest, OneBadRecordLeavesNothingOfItsBatch) {
  std::vector<SpooledEvent> records = metric_records(0, 2);
  records[1].event.mutable_metrics()->add_keys("without value");
  EXPECT_EQ(events().apply(stream(), 0, 200, records).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(*events().committed_offset(stream()), 0u);
  EXPECT_EQ(store().metrics().read({.job = job_, .key = "train/loss"}).status().code(),
            absl::StatusCode::kNotFound)
      << "its series is gone too";
}

TEST_F(EventStoreTest, BatchesOfOneCallFailSeparately) {
  const std::vector<SpooledEvent> first = metric_records(0, 2);
  const std::vector<SpooledEvent> second = metric_records(2, 2);
  std::vector<SpooledEvent> bad = metric_records(2, 2);
  bad[1].event.mutable_metrics()->add_keys("without value");
  const auto results = events().apply_all({
      {.stream = stream(), .from = 0, .to = 200, .events = first},
      {.stream = stream(), .from = 200, .to = 400, .events = bad},
      {.stream = stream(), .from = 200, .to = 400, .events = second},
      {.stream = stream(1, 0, StreamKind::kStdout), .from = 0, .to = 2, .text = "hi"},
      {.stream = stream(), .from = 500, .to = 600},
  });
  ASSERT_EQ(results.size(), 5u);
  EXPECT_EQ(results[0]->committed_offset, 200u);
  EXPECT_EQ(results[1].status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(results[2]->committed_offset, 400u);
  EXPECT_EQ(results[3]->committed_offset, 2u);
  EXPECT_EQ(results[4]->result, Applied::Result::kGap);
  EXPECT_THAT(steps_of(store(), job_), ElementsAre(0, 1, 2, 3));
}

TEST_F(EventStoreTest, ProgressOfRankZeroBecomesTheJobs) {
  v1::Event event;
  event.set_time_us(77);
  event.mutable_progress()->set_global_step(12);
  (*event.mutable_progress()->mutable_metrics())["loss"] = 0.5;
  ASSERT_EQ(text_of(apply_one(event)), "OK");
  event.mutable_progress()->set_global_step(13);
  ASSERT_EQ(text_of(apply_one(event, /*rank=*/1)), "OK");
  const v1::Progress progress = store().jobs().get(job_)->progress();
  EXPECT_EQ(progress.global_step(), 12);
  EXPECT_EQ(progress.time_us(), 77);
  EXPECT_EQ(progress.metrics().at("loss"), 0.5);
}

TEST_F(EventStoreTest, MetricsOfOtherRanksDoNotCount) {
  ASSERT_TRUE(apply(0, 1).ok());
  ASSERT_TRUE(events().apply(stream(1, 1), 0, 200, metric_records(0, 2)).ok());
  EXPECT_THAT(steps_of(store(), job_), ElementsAre(0));
}

TEST_F(EventStoreTest, HyperparametersAreTheJobs) {
  EXPECT_EQ(*store().jobs().hyperparameters(job_), "");
  v1::Event event;
  event.mutable_hyperparameters()->set_yaml("lr: 0.1\n");
  ASSERT_EQ(text_of(apply_one(event)), "OK");
  EXPECT_EQ(*store().jobs().hyperparameters(job_), "lr: 0.1\n");
}

TEST_F(EventStoreTest, KindOfANewerVersionCountsAsApplied) {
  v1::Event unknown;
  ASSERT_TRUE(unknown.ParseFromString(std::string("\x08\x05\xaa\x06\x02hi", 7)));
  EXPECT_EQ(text_of(apply_one(unknown)), "OK");
  EXPECT_EQ(*events().committed_offset(stream()), kRecordBytes);
}

TEST_F(EventStoreTest, EverythingIsThereAfterReopening) {
  ASSERT_TRUE(apply(0, 3).ok());
  reopen();
  EXPECT_EQ(*events().committed_offset(stream()), 300u);
  EXPECT_THAT(steps_of(store(), job_), ElementsAre(0, 1, 2));
}

}  // namespace
}  // namespace lctl::storage
