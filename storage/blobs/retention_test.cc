// Which checkpoints stay, and from which one the next attempt goes on.
#include <chrono>
#include <limits>
#include <utility>

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

  void begin(int keep_last, int keep_best = 0, std::int64_t keep_every = 0) {
    v1::Job job = make_job(random_id(10), "x");
    job.mutable_spec()->mutable_retention()->set_keep_last(keep_last);
    job.mutable_spec()->mutable_retention()->set_keep_best(keep_best);
    job.mutable_spec()->mutable_retention()->set_keep_every(keep_every);
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

  // A ModelCheckpoint's checkpoint with its score.
  void add_scored(std::int64_t step, double score, v1::MonitorMode mode,
                  const std::string& monitor = "val/loss", bool is_last = false) {
    const std::string content = "the state at step " + std::to_string(step);
    Manifest manifest = manifest_of({{job_, 1}, step, kModel, "", content});
    manifest.written.set_monitor(monitor);
    manifest.written.set_score(score);
    manifest.written.set_mode(mode);
    manifest.written.set_is_last(is_last);
    put_chunks(store(), content);
    ASSERT_EQ(text_of(store().checkpoints().commit(manifest).status()), "OK");
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

TEST_F(RetentionTest, FirstRecoveryCheckpointPastEachMultipleIsKept) {
  begin(/*keep_last=*/1, /*keep_best=*/0, /*keep_every=*/100);
  for (const std::int64_t step : {50, 90, 130, 160, 199, 200, 250, 480, 490}) add(step, kRecovery);
  EXPECT_THAT(listed(), ElementsAre(130, 200, 480, 490));
}

TEST_F(RetentionTest, AttemptThatWentBackKeepsNoMultipleTwice) {
  begin(1, 0, 100);
  for (const std::int64_t step : {110, 210, 220}) add(step, kRecovery);
  start_attempt(store(), job_, 2);
  for (const std::int64_t step : {120, 230, 310, 320}) add(step, kRecovery, 2);
  EXPECT_THAT(listed(), ElementsAre(110, 210, 310, 320));
}

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
  EXPECT_GT(store().checkpoints().collect_dropped()->bytes, 0) << "at once";
  EXPECT_EQ(store().checkpoints().collect_dropped()->bytes, 0);
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

TEST_F(RetentionTest, OlderFileOfTheSameNameStaysUntilTheNewerIsWhole) {
  const std::string first = add(1, kModel, 1, "last.ckpt");
  const Manifest newer = manifest_of({{job_, 1}, 2, kModel, "last.ckpt", "the state at step 2"});
  put_chunks(store(), "the stat");  // two of its five chunks
  EXPECT_TRUE(absl::IsAborted(store().checkpoints().commit(newer).status()));
  EXPECT_TRUE(kept(first));
  EXPECT_THAT(listed(), ElementsAre(1));
  clock_.advance(std::chrono::hours(2));
  EXPECT_EQ(text_of(store().checkpoints().collect_garbage().status()), "OK");
  EXPECT_EQ(text_of(download(store(), CheckpointId(first)).status()), "OK");
}

TEST_F(RetentionTest, ChunksThatTheNewerFileSharesWithTheOlderStay) {
  const auto write = [&](std::int64_t step, const std::string& content) {
    return *upload(store(), {{job_, 1}, step, kModel, "last.ckpt", content});
  };
  write(1, "same old1");
  const CheckpointId second = write(2, "same new2");
  EXPECT_EQ(store().checkpoints().collect_dropped()->bytes, 5) << "' old' and '1', not 'same'";
  clock_.advance(std::chrono::hours(2));
  EXPECT_EQ(store().checkpoints().collect_garbage()->bytes, 0);
  EXPECT_EQ(*download(store(), second), "same new2");
  EXPECT_EQ(text_of(store().check_integrity()), "OK");
}

TEST_F(RetentionTest, DroppedChunksThatAnUploadCountsOnStay) {
  *upload(store(), {{job_, 1}, 1, kModel, "last.ckpt", "same old1"});
  *upload(store(), {{job_, 1}, 2, kModel, "last.ckpt", "else"});
  clock_.advance(Duration(1));
  const std::vector<std::string> asked = {hex_sha256(" old")};
  EXPECT_THAT(*store().checkpoints().missing(asked), ElementsAre());
  EXPECT_EQ(store().checkpoints().collect_dropped()->bytes, 5) << "'same' and '1'";
  EXPECT_THAT(*store().checkpoints().missing(asked), ElementsAre());
  clock_.advance(std::chrono::hours(2));
  EXPECT_EQ(store().checkpoints().collect_garbage()->bytes, 4);
}

TEST_F(RetentionTest, KeepBestKeepsTheBestByTheirMode) {
  begin(0, 2);
  for (const auto& [step, loss] : {std::pair{1, 0.9}, {2, 0.5}, {3, 0.7}, {4, 0.8}, {5, 0.6}}) {
    add_scored(step, loss, v1::MONITOR_MODE_MIN);
  }
  EXPECT_THAT(listed(), ElementsAre(2, 5));
  begin(0, 2);
  for (const auto& [step, accuracy] : {std::pair{1, 0.9}, {2, 0.5}, {3, 0.7}, {4, 0.8}}) {
    add_scored(step, accuracy, v1::MONITOR_MODE_MAX);
  }
  EXPECT_THAT(listed(), ElementsAre(1, 4));
}

TEST_F(RetentionTest, KeepBestDropsNotTheOneToGoOnFrom) {
  begin(0, 1);
  add_scored(1, 0.1, v1::MONITOR_MODE_MIN);
  add_scored(2, 0.2, v1::MONITOR_MODE_MIN);
  EXPECT_THAT(listed(), ElementsAre(1, 2)) << "the best, and the newest";
  add_scored(3, 0.3, v1::MONITOR_MODE_MIN);
  EXPECT_THAT(listed(), ElementsAre(1, 3));
  add(4, kRecovery);
  EXPECT_THAT(listed(), ElementsAre(1, 4));
}

TEST_F(RetentionTest, KeepBestCountsEachMetricAndSparesWhatHasNoScore) {
  begin(0, 1);
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  add_scored(1, kNan, v1::MONITOR_MODE_MAX, "val/acc");
  add_scored(2, 0.5, v1::MONITOR_MODE_MAX, "val/acc");
  add_scored(3, 0.5, v1::MONITOR_MODE_MIN, "val/loss");
  add_scored(4, 9.0, v1::MONITOR_MODE_MIN, "val/loss", /*is_last=*/true);
  add_scored(5, 0.0, v1::MONITOR_MODE_UNSPECIFIED, "");
  add_scored(6, 9.0, v1::MONITOR_MODE_UNSPECIFIED, "val/loss");  // of a trainer that names no mode
  add_scored(7, 0.5, v1::MONITOR_MODE_MIN, "val/loss");
  add_scored(8, 0.7, v1::MONITOR_MODE_MIN, "val/loss");
  add(9, kRecovery);
  EXPECT_THAT(listed(), ElementsAre(2, 4, 5, 6, 7, 9)) << "of equal scores the newer is kept";
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
