// Which checkpoints stay, and from which one the next attempt goes on.
#include <chrono>

#include "storage/blobs/checkpoint_store.h"
#include "storage/testing/store_fixture.h"

namespace lctl::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr auto kModel = v1::CHECKPOINT_KIND_MODEL;
constexpr auto kRecovery = v1::CHECKPOINT_KIND_RECOVERY;
constexpr auto kStop = v1::CHECKPOINT_KIND_STOP;

class RetentionTest : public StoreTest {
 protected:
  RetentionTest() { begin(0); }

  void begin(int keep_last) {
    v1::Job job = make_job(random_id(10), "x");
    job.mutable_spec()->mutable_retention()->set_keep_last(keep_last);
    job_ = *store().jobs().create({.job = job}, "");
    start_attempt(store(), job_, 1);
  }

  std::string add(std::int64_t step, v1::CheckpointKind kind, AttemptNumber attempt = 1,
                  std::string name = "") {
    const absl::StatusOr<CheckpointId> id =
        upload(store(), {{job_, attempt}, step, kind, std::move(name)});
    EXPECT_EQ(text_of(id.status()), "OK");
    return id.ok() ? id->str() : "";
  }

  // Rank 0's callback reports the removal, as the record after what it has reported so far.
  void remove(std::string_view name, AttemptNumber attempt, std::int64_t at_step) {
    v1::Event event;
    event.mutable_checkpoint_removed()->set_name(std::string(name));
    const StreamKey stream{{job_, attempt}, 0, StreamKind::kEvents};
    const std::uint64_t offset = static_cast<std::uint64_t>(at_step) * kRecordBytes;
    const std::uint64_t from = *store().events().committed_offset(stream);
    ASSERT_EQ(text_of(store()
                          .events()
                          .apply(stream, from, offset + kRecordBytes, {record(offset, event)})
                          .status()),
              "OK");
  }

  std::vector<std::int64_t> listed() {
    std::vector<std::int64_t> steps;
    const auto rows = store().checkpoints().list(job_);
    for (const CheckpointRow& row : *rows) steps.push_back(row.written.global_step());
    return steps;
  }
  std::int64_t newest() {
    const auto row = store().checkpoints().newest(job_);
    return row.ok() ? row->written.global_step() : -1;
  }
  bool kept(const std::string& id) {
    const absl::Status status = store().checkpoints().get(CheckpointId(id)).status();
    EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kNotFound);
    return status.ok();
  }

  JobId job_;
};

TEST_F(RetentionTest, TwoNewestRecoveryAndStopCheckpointsStayByDefault) {
  add(1, kRecovery);
  add(2, kRecovery);
  EXPECT_THAT(listed(), ElementsAre(1, 2));
  add(3, kStop);
  EXPECT_THAT(listed(), ElementsAre(2, 3));
  add(4, kRecovery);
  EXPECT_THAT(listed(), ElementsAre(3, 4));
}

TEST_F(RetentionTest, KeepLastOfTheSpecDecides) {
  begin(3);
  for (int step = 1; step <= 5; ++step) add(step, kRecovery);
  EXPECT_THAT(listed(), ElementsAre(3, 4, 5));
}

TEST_F(RetentionTest, ModelCheckpointsDoNotCountAndStay) {
  add(1, kModel);
  for (int step = 2; step <= 4; ++step) add(step, kRecovery);
  add(5, kModel);
  EXPECT_THAT(listed(), ElementsAre(1, 3, 4, 5));
}

TEST_F(RetentionTest, DroppedCheckpointSaysSoAndItsChunksAreCollected) {
  const std::string first = add(1, kRecovery);
  add(2, kRecovery);
  add(3, kRecovery);
  const absl::Status status = store().checkpoints().read(CheckpointId(first), 0, 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(text_of(status), HasSubstr("is no longer kept"));
  clock_.advance(std::chrono::hours(2));
  EXPECT_GT(*store().checkpoints().collect_garbage(), 0);
  EXPECT_EQ(text_of(store().check_integrity()), "OK");
  EXPECT_EQ(newest(), 3);
}

TEST_F(RetentionTest, RemovedModelCheckpointIsDropped) {
  const std::string first = add(1, kModel, 1, "epoch=0.ckpt");
  add(2, kModel, 1, "epoch=1.ckpt");
  remove("epoch=0.ckpt", 1, 3);
  EXPECT_THAT(listed(), ElementsAre(2));
  EXPECT_FALSE(kept(first));
}

TEST_F(RetentionTest, TheOnlyPlaceToGoOnFromIsKeptUntilTheNextOneIsThere) {
  const std::string first = add(1, kModel, 1, "epoch=0.ckpt");
  remove("epoch=0.ckpt", 1, 3);  // the upload of its successor is still on its way
  EXPECT_THAT(listed(), ElementsAre());
  EXPECT_TRUE(kept(first));
  EXPECT_EQ(newest(), 1);
  add(2, kModel, 1, "epoch=1.ckpt");
  EXPECT_FALSE(kept(first));
  EXPECT_EQ(newest(), 2);
}

TEST_F(RetentionTest, UploadThatArrivesAfterItsRemovalIsNotKept) {
  add(5, kRecovery);
  remove("epoch=0.ckpt", 1, 3);
  const std::string late = add(2, kModel, 1, "epoch=0.ckpt");
  EXPECT_FALSE(kept(late));
  const std::string rewritten = add(6, kModel, 1, "epoch=0.ckpt");
  EXPECT_TRUE(kept(rewritten)) << "captured after the removal: another file of that name";
}

TEST_F(RetentionTest, NewerFileOfTheSameNameReplacesTheOlder) {
  const std::string first = add(1, kModel, 1, "last.ckpt");
  const std::string third = add(3, kModel, 1, "last.ckpt");
  EXPECT_FALSE(kept(first));
  EXPECT_FALSE(kept(add(2, kModel, 1, "last.ckpt"))) << "an upload that was overtaken";
  EXPECT_TRUE(kept(third));
}

TEST_F(RetentionTest, WhatAnUnfinishedAttemptResumedFromStays) {
  const std::string source = add(1, kRecovery);
  start_attempt(store(), job_, 2, source);
  add(2, kRecovery, 2);
  add(3, kRecovery, 2);
  add(4, kRecovery, 2);
  EXPECT_TRUE(kept(source)) << "a node may be downloading it";
  EXPECT_THAT(listed(), ElementsAre(1, 3, 4));
  start_attempt(store(), job_, 3, store().checkpoints().newest(job_)->id.str());
  add(5, kRecovery, 3);
  EXPECT_FALSE(kept(source));
}

TEST_F(RetentionTest, NewestIsByAttemptThenCapture) {
  EXPECT_EQ(newest(), -1);
  add(7, kModel);
  const std::string five = add(5, kRecovery);
  EXPECT_EQ(newest(), 7);
  start_attempt(store(), job_, 2, five);
  EXPECT_EQ(newest(), 5) << "step 7 lies behind the point where attempt 2 began: superseded";
  add(1, kRecovery, 2);
  EXPECT_EQ(newest(), 1) << "of the newer attempt";
}

TEST_F(RetentionTest, NothingOfAnEarlierAttemptCountsAfterAStartFromTheBeginning) {
  add(7, kModel);
  start_attempt(store(), job_, 2);
  EXPECT_EQ(newest(), -1);
}

}  // namespace
}  // namespace lctl::storage
