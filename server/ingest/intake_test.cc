#include "server/ingest/intake.h"

#include "storage/testing/store_fixture.h"

namespace lctl::ingest {
namespace {

using storage::kRecordBytes;
using storage::StreamKey;
using storage::StreamKind;
using storage::text_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class RecordingObserver final : public EventObserver {
 public:
  void on_ready(const AttemptId& attempt, int rank, const v1::RankReady& ready) override {
    heard.push_back(attempt.str() + " ready " + std::to_string(rank) + " " + ready.device());
  }
  void on_progress(const AttemptId& attempt, const v1::Progress& progress) override {
    heard.push_back(attempt.str() + " progress " + std::to_string(progress.global_step()));
  }
  void on_finished(const AttemptId& attempt, int rank, const v1::Finished& finished) override {
    heard.push_back(attempt.str() + " finished " + std::to_string(rank) + " " + finished.message());
  }
  std::vector<std::string> heard;
};

class IntakeTest : public storage::StoreTest {
 protected:
  IntakeTest() {
    job_ = storage::add_job(store());
    storage::start_attempt(store(), job_, 1);
  }

  StreamKey stream(int rank = 0, StreamKind kind = StreamKind::kEvents) const {
    return {{job_, 1}, rank, kind};
  }

  // Records of kRecordBytes each in the spool, whatever their serialized size is.
  Batch batch(std::uint64_t from, const std::vector<v1::Event>& events, int rank = 0) {
    Batch made{.stream = stream(rank), .from = from, .to = from};
    for (const v1::Event& event : events) add_record(made, event.SerializeAsString());
    return made;
  }
  void add_record(Batch& to, std::string bytes) {
    bytes_.push_back(std::make_unique<std::string>(std::move(bytes)));
    to.events.push_back({to.to, to.to + kRecordBytes, *bytes_.back()});
    to.to += kRecordBytes;
  }
  Outcome apply(const Batch& one) { return intake_.apply({&one, 1}).front(); }

  static v1::Event metric(std::int64_t step) {
    return storage::metric_record(0, step, static_cast<double>(step)).event;
  }
  static v1::Event progress(std::int64_t step) {
    v1::Event event;
    event.mutable_progress()->set_global_step(step);
    return event;
  }
  static v1::Event ready() {
    v1::Event event;
    event.mutable_ready()->set_device("cpu");
    return event;
  }
  static v1::Event finished(std::string message) {
    v1::Event event;
    event.mutable_finished()->set_message(std::move(message));
    return event;
  }

  JobId job_;
  RecordingObserver observer_;
  Intake intake_{store().events(), observer_};
  std::vector<std::unique_ptr<std::string>> bytes_;
};

TEST_F(IntakeTest, GoodBatchIsCommittedAndItsNewsAreTold) {
  const Outcome outcome = apply(batch(0, {ready(), metric(1), progress(1), finished("done")}));
  EXPECT_EQ(outcome.verdict, Verdict::kOk);
  EXPECT_EQ(outcome.committed_offset, 4 * kRecordBytes);
  EXPECT_EQ(outcome.message, "");
  EXPECT_THAT(observer_.heard, ElementsAre("aaaaaaaaaa.1 ready 0 cpu", "aaaaaaaaaa.1 progress 1",
                                           "aaaaaaaaaa.1 finished 0 done"));
  EXPECT_THAT(storage::steps_of(store(), job_), ElementsAre(1));
}

TEST_F(IntakeTest, WhatComesInIsCountedAndRepeatsOnlyAsBatchesAndBytes) {
  const Batch good = batch(0, {ready(), metric(1), metric(2)});
  apply(good);
  const IntakeCounts once = intake_.counts();
  EXPECT_THAT(once.batches, ElementsAre(1, 0, 0, 0, 0));
  EXPECT_EQ(once.events, 3u);
  EXPECT_EQ(once.points, 2u);
  apply(good);
  apply(batch(500, {metric(3)}));
  apply(batch(0, {ready(), metric(1)}, /*rank=*/1));
  const IntakeCounts all = intake_.counts();
  EXPECT_THAT(all.batches, ElementsAre(3, 1, 0, 0, 0));
  EXPECT_GT(all.bytes, 2 * once.bytes);
  EXPECT_EQ(all.events, 5u);
  EXPECT_EQ(all.points, 2u) << "only rank 0's are kept";
}

TEST_F(IntakeTest, SpoolsHeaderBelongsToItsFirstBatch) {
  Batch first = batch(8, {metric(1), metric(2)});
  first.from = 0;
  Outcome outcome = apply(first);
  EXPECT_EQ(outcome.verdict, Verdict::kOk) << outcome.message;
  EXPECT_EQ(outcome.committed_offset, 8 + 2 * kRecordBytes);
  EXPECT_EQ(apply(batch(208, {metric(3)})).verdict, Verdict::kOk);
  EXPECT_THAT(storage::steps_of(store(), job_), ElementsAre(1, 2, 3));
  // Elsewhere nothing lies between records.
  Batch later = batch(316, {metric(4)});
  later.from = 308;
  EXPECT_EQ(apply(later).verdict, Verdict::kInvalid);
}

TEST_F(IntakeTest, ResentEventsAreNotToldAgain) {
  apply(batch(0, {ready(), progress(1)}));
  observer_.heard.clear();
  EXPECT_EQ(apply(batch(0, {ready(), progress(1), progress(2)})).verdict, Verdict::kOk);
  EXPECT_THAT(observer_.heard, ElementsAre("aaaaaaaaaa.1 progress 2"));
}

TEST_F(IntakeTest, ProgressOfOtherRanksIsNotTold) {
  apply(batch(0, {ready(), progress(1)}, /*rank=*/1));
  EXPECT_THAT(observer_.heard, ElementsAre("aaaaaaaaaa.1 ready 1 cpu"));
}

TEST_F(IntakeTest, GapNamesTheCommittedOffsetAndTellsNothing) {
  const Outcome outcome = apply(batch(100, {progress(1)}));
  EXPECT_EQ(outcome.verdict, Verdict::kGap);
  EXPECT_EQ(outcome.committed_offset, 0u);
  EXPECT_THAT(outcome.message, HasSubstr("begins at 100, only 0 bytes"));
  EXPECT_THAT(observer_.heard, IsEmpty());
}

TEST_F(IntakeTest, ReplacedAttemptIsFenced) {
  storage::start_attempt(store(), job_, 2);
  const Outcome outcome = apply(batch(0, {finished("late")}));
  EXPECT_EQ(outcome.verdict, Verdict::kFenced);
  EXPECT_THAT(observer_.heard, IsEmpty());
}

TEST_F(IntakeTest, OneBadRecordIsLeftOutAndTheRestApplied) {
  Batch mixed = batch(0, {metric(1)});
  add_record(mixed, "\xff\xff\xff");
  add_record(mixed, finished("done").SerializeAsString());
  const Outcome outcome = apply(mixed);
  EXPECT_EQ(outcome.verdict, Verdict::kInvalid);
  EXPECT_EQ(outcome.committed_offset, 300u);
  EXPECT_THAT(outcome.message, HasSubstr("1 of 3 records were left out; the record at 100"));
  EXPECT_THAT(observer_.heard, ElementsAre("aaaaaaaaaa.1 finished 0 done"));
  EXPECT_THAT(storage::steps_of(store(), job_), ElementsAre(1));
}

TEST_F(IntakeTest, InconsistentBatchesAreSkippedToTheirEnd) {
  Batch torn = batch(0, {metric(1), metric(2)});
  torn.events[1].offset += 1;
  Outcome outcome = apply(torn);
  EXPECT_EQ(outcome.verdict, Verdict::kInvalid);
  EXPECT_EQ(outcome.committed_offset, 200u);

  Batch short_of_end = batch(200, {metric(3)});
  short_of_end.to = 350;
  EXPECT_EQ(apply(short_of_end).committed_offset, 350u);

  Batch text{.stream = stream(0, StreamKind::kStdout), .from = 0, .to = 10, .text = "short"};
  outcome = apply(text);
  EXPECT_EQ(outcome.verdict, Verdict::kInvalid);
  EXPECT_EQ(outcome.committed_offset, 10u);
  EXPECT_THAT(outcome.message, HasSubstr("5 bytes of text for the range [0, 10)"));

  EXPECT_EQ(apply(batch(350, {metric(4)})).verdict, Verdict::kOk) << "the stream goes on";
  EXPECT_THAT(storage::steps_of(store(), job_), ElementsAre(4));
}

TEST_F(IntakeTest, BatchThatTheStoreRefusesIsSkipped) {
  apply(batch(0, {metric(1)}));
  Batch other = batch(50, {metric(2)});  // a record across the committed offset: not the same file
  const Outcome outcome = apply(other);
  EXPECT_EQ(outcome.verdict, Verdict::kInvalid);
  EXPECT_EQ(outcome.committed_offset, 150u);
  EXPECT_THAT(outcome.message, HasSubstr("lies across the committed offset"));
}

TEST_F(IntakeTest, BatchesThatCannotBeMoveNothing) {
  const auto refused = [&](auto&& spoil) {
    Batch spoiled = batch(0, {metric(1)});
    spoil(spoiled);
    const Outcome outcome = apply(spoiled);
    EXPECT_EQ(outcome.committed_offset, 0u);
    EXPECT_NE(outcome.message, "");
    return outcome.verdict == Verdict::kInvalid;
  };
  EXPECT_TRUE(refused([](Batch& b) { b.stream.attempt.job = JobId(); }));
  EXPECT_TRUE(refused([](Batch& b) { b.stream.attempt.job = JobId(std::string(65, 'x')); }));
  EXPECT_TRUE(refused([](Batch& b) { b.stream.attempt.number = 0; }));
  EXPECT_TRUE(refused([](Batch& b) { b.stream.rank = -1; }));
  EXPECT_TRUE(refused([](Batch& b) { b.stream.kind = static_cast<StreamKind>(0); }));
  EXPECT_TRUE(refused([](Batch& b) { b.stream.kind = static_cast<StreamKind>(9); }));
  EXPECT_TRUE(refused([](Batch& b) { b.from = b.to + 1; }));
  EXPECT_TRUE(refused([](Batch& b) { b.to = ~std::uint64_t{0}; }));
  EXPECT_EQ(*store().events().committed_offset(stream()), 0u);
}

TEST_F(IntakeTest, OversizedBatchIsSkipped) {
  const std::string text(kMaxBatchBytes + 1, 'x');
  const Outcome outcome =
      apply({.stream = stream(0, StreamKind::kStdout), .from = 0, .to = text.size(), .text = text});
  EXPECT_EQ(outcome.verdict, Verdict::kInvalid);
  EXPECT_EQ(outcome.committed_offset, text.size());
  EXPECT_THAT(outcome.message, HasSubstr("at most 4194304"));
  EXPECT_THAT(store().events().read_text({.job = job_})->chunks, IsEmpty());
}

TEST_F(IntakeTest, BatchesOfOneCallHaveTheirOwnOutcomes) {
  const Batch refused{.stream = stream(-1)};
  const std::vector<Batch> batches = {
      batch(0, {metric(1)}),
      refused,
      {.stream = stream(0, StreamKind::kStderr), .from = 0, .to = 3, .text = "abc"},
      batch(100, {metric(2)}),
      batch(900, {metric(9)})};
  const std::vector<Outcome> outcomes = intake_.apply(batches);
  ASSERT_EQ(outcomes.size(), 5u);
  EXPECT_EQ(outcomes[0].verdict, Verdict::kOk);
  EXPECT_EQ(outcomes[1].verdict, Verdict::kInvalid);
  EXPECT_EQ(outcomes[2].committed_offset, 3u);
  EXPECT_EQ(outcomes[3].committed_offset, 200u);
  EXPECT_EQ(outcomes[4].verdict, Verdict::kGap);
  EXPECT_THAT(storage::steps_of(store(), job_), ElementsAre(1, 2));
}

TEST_F(IntakeTest, FullStoreAsksToSendAgainAndGoesOnLater) {
  store_.reset();
  open(/*max_database_bytes=*/512 << 10);
  Intake intake(store().events(), observer_);
  const std::string text(1 << 20, 'x');
  const Batch large{
      .stream = stream(0, StreamKind::kStdout), .from = 0, .to = text.size(), .text = text};
  const Outcome outcome = intake.apply({&large, 1}).front();
  EXPECT_EQ(outcome.verdict, Verdict::kRetry);
  EXPECT_EQ(outcome.committed_offset, 0u);
  EXPECT_THAT(outcome.message, HasSubstr("free space"));
  store_.reset();
  open();
  Intake later(store().events(), observer_);
  EXPECT_EQ(later.apply({&large, 1}).front().verdict, Verdict::kOk);
}

}  // namespace
}  // namespace lctl::ingest
