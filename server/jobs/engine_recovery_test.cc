// Checkpoints that turn out to be of no use, and training that went astray.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/testing/engine_fixture.h"

namespace lctl::jobs {
namespace {

using storage::text_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class EngineRecoveryTest : public EngineTest {
 protected:
  EngineRecoveryTest() {
    cluster_.on_launch = [this](const LaunchOrder& order) { orders_.push_back(order); };
  }

  std::string add_checkpoint(const JobId& id, AttemptNumber attempt, std::int64_t step,
                             std::string content = "") {
    const auto added = storage::upload(
        store(), {.attempt = {id, attempt}, .step = step, .content = std::move(content)});
    EXPECT_EQ(text_of(added.status()), "OK");
    return added.ok() ? added->str() : "";
  }
  void rot(std::string_view chunk) {
    const std::string hex = storage::hex_sha256(chunk);
    std::filesystem::resize_file(dir() / "blobs" / hex.substr(0, 2) / hex.substr(2), 1);
  }
  // The job's only process ends with that code, wherever it runs, and hands in its last words.
  void ends(const JobId& id, int code, std::optional<v1::Finished> said = std::nullopt) {
    const AttemptId attempt{id, job(id).attempt()};
    if (said) {
      v1::Event event;
      *event.mutable_finished() = *said;
      const storage::StreamKey stream{.attempt = attempt, .rank = 0};
      const std::uint64_t from = *store().events().committed_offset(stream);
      ASSERT_TRUE(
          store()
              .events()
              .apply(stream, from, from + storage::kRecordBytes, {storage::record(from, event)})
              .ok());
    }
    for (const NodeId& node : {a_, b_}) {
      for (std::size_t i = 0; i < cluster_.node(node).processes.size(); ++i) {
        if (cluster_.node(node).processes[i].attempt != attempt) continue;
        cluster_.exit(node, i, code);
        cluster_.drain(node, i);
      }
    }
    deliver();
  }
  void damages_next_download() {
    cluster_.node(a_).damages_next_download = true;
    cluster_.node(b_).damages_next_download = true;
  }
  void heal() {
    cluster_.node(a_).damages_next_download = false;
    cluster_.node(b_).damages_next_download = false;
  }
  v1::Attempt attempt(const JobId& id, int number) {
    return (*store().jobs().attempts(id))[static_cast<std::size_t>(number) - 1];
  }
  std::string last_reason(const JobId& id, v1::JobState to) {
    std::string reason;
    const auto rows = store().jobs().transitions(id);
    for (const v1::Transition& row : *rows) {
      if (row.to() == to) reason = row.reason();
    }
    return reason;
  }
  static v1::Finished roll_back(std::int64_t before, std::int64_t batch, int allowed) {
    v1::Finished said;
    said.set_outcome(v1::Finished::OUTCOME_ROLL_BACK);
    said.set_message("SpikeDetection: the loss of batch " + std::to_string(batch) + " spikes");
    said.set_roll_back_before(before);
    said.set_max_roll_backs(allowed);
    said.add_skip_batches()->set_batch(batch);
    return said;
  }
  static v1::Finished unreadable() {
    v1::Finished said;
    said.set_outcome(v1::Finished::OUTCOME_UNREADABLE_CHECKPOINT);
    said.set_message("resume.ckpt: not a checkpoint");
    return said;
  }
  std::vector<std::int64_t> skipped(const LaunchOrder& order) {
    std::vector<std::int64_t> batches;
    for (const v1::BatchPlace& place : order.skip_batches) batches.push_back(place.batch());
    return batches;
  }

  std::vector<LaunchOrder> orders_;
};

TEST_F(EngineRecoveryTest, DamagedInTheStoreTheJobFallsBackToTheOneBeforeWithoutCounting) {
  const JobId id = submit(1, 1);
  deliver();
  const std::string older = add_checkpoint(id, 1, 40, "olderrrr");
  const std::string newer = add_checkpoint(id, 1, 50, "newerrrr");
  rot("newe");
  damages_next_download();
  ends(id, 1);
  ASSERT_EQ(to_verify_.size(), 1u);
  EXPECT_EQ(to_verify_[0].second.str(), newer);
  EXPECT_EQ(state(id), v1::JOB_STATE_STARTING) << "not over before the store has looked";
  heal();
  verify();
  EXPECT_EQ(attempt(id, 2).outcome(), outcome::kLost);
  EXPECT_EQ(attempt(id, 2).cause(), v1::END_CAUSE_INFRASTRUCTURE);
  EXPECT_EQ(attempt(id, 2).blamed_node(), "") << "the node is not at fault";
  EXPECT_THAT(last_reason(id, v1::JOB_STATE_QUEUED),
              AllOf(HasSubstr("it arrived damaged"), HasSubstr("damaged in the store (chunk file"),
                    HasSubstr("no recovery point any more"),
                    HasSubstr("the next attempt goes on from checkpoint " + older)));
  EXPECT_EQ(attempt(id, 3).resumed_from_checkpoint(), older);
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(job(id).restarts(), 1) << "the failure before it";
}

TEST_F(EngineRecoveryTest, DamagedOnItsWayOnlyThisAttemptGoesRoundIt) {
  const JobId id = submit(1, 1);
  deliver();
  const std::string older = add_checkpoint(id, 1, 40);
  const std::string newer = add_checkpoint(id, 1, 50);
  damages_next_download();
  ends(id, 1);
  heal();
  const std::string node = attempt(id, 2).ranks(0).node_id();
  verify();
  EXPECT_THAT(last_reason(id, v1::JOB_STATE_QUEUED), HasSubstr("the store's copy is sound"));
  EXPECT_EQ(attempt(id, 3).resumed_from_checkpoint(), older);
  EXPECT_NE(attempt(id, 3).ranks(0).node_id(), node) << "perhaps the node damages what it fetches";
  EXPECT_EQ(store().checkpoints().get(CheckpointId(newer))->damage, "");
}

TEST_F(EngineRecoveryTest, WithoutAnyOtherCheckpointTrainingBeginsAnewAndSaysSo) {
  const JobId id = submit(1, 1);
  deliver();
  add_checkpoint(id, 1, 40, "onlyonly");
  rot("only");
  damages_next_download();
  ends(id, 1);
  heal();
  verify();
  EXPECT_THAT(last_reason(id, v1::JOB_STATE_QUEUED),
              HasSubstr("no checkpoint is left: the next attempt begins anew"));
  EXPECT_THAT(last_reason(id, v1::JOB_STATE_STARTING),
              HasSubstr("begins anew: no checkpoint is left to go on from"));
  EXPECT_EQ(attempt(id, 3).resumed_from_checkpoint(), "");
}

TEST_F(EngineRecoveryTest, ServerRestartWhileTheStoreIsReadLosesNothing) {
  const JobId id = submit(1, 1);
  deliver();
  const std::string older = add_checkpoint(id, 1, 40, "olderrrr");
  add_checkpoint(id, 1, 50, "newerrrr");
  rot("newe");
  damages_next_download();
  ends(id, 1);
  to_verify_.clear();
  restart_server();
  connect_all();
  deliver();
  ASSERT_EQ(to_verify_.size(), 1u) << "found again";
  heal();
  verify();
  EXPECT_EQ(orders_.back().resume_checkpoint_id, older);
  EXPECT_EQ(job(id).restarts(), 1);
}

TEST_F(EngineRecoveryTest, StopIsNotForgottenWhileTheStoreIsRead) {
  const JobId id = submit(1, 1);
  deliver();
  add_checkpoint(id, 1, 50);
  damages_next_download();
  ends(id, 1);
  ASSERT_TRUE(engine_->stop(id, std::nullopt, "enough").ok());
  engine_->settle();
  EXPECT_EQ(state(id), v1::JOB_STATE_STOPPING);
  verify();
  EXPECT_EQ(state(id), v1::JOB_STATE_STOPPED);
}

TEST_F(EngineRecoveryTest, OneThatTheTrainerCannotReadIsMarkedAndPassedOver) {
  const JobId id = submit(1, 1);
  deliver();
  const std::string older = add_checkpoint(id, 1, 40);
  const std::string torn = add_checkpoint(id, 1, 50);
  ends(id, 1);
  ends(id, 74, unreadable());
  EXPECT_THAT(store().checkpoints().get(CheckpointId(torn))->damage,
              HasSubstr("the trainer cannot read it: resume.ckpt: not a checkpoint"));
  EXPECT_THAT(last_reason(id, v1::JOB_STATE_QUEUED),
              AllOf(HasSubstr("checkpoint " + torn + " cannot be read"),
                    HasSubstr("goes on from checkpoint " + older)));
  EXPECT_EQ(attempt(id, 3).resumed_from_checkpoint(), older);
  EXPECT_EQ(job(id).restarts(), 1);
}

TEST_F(EngineRecoveryTest, TwoInARowThatCannotBeReadEndTheJobAndLeaveTheRestAlone) {
  const JobId id = submit(1, 1);
  deliver();
  const std::string older = add_checkpoint(id, 1, 40);
  add_checkpoint(id, 1, 50);
  ends(id, 1);
  ends(id, 74, unreadable());
  ends(id, 74, unreadable());
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job(id).reason(), HasSubstr("nor could the one before it"));
  EXPECT_EQ(store().checkpoints().get(CheckpointId(older))->damage, "");
}

TEST_F(EngineRecoveryTest, RolledBackItGoesOnBeforeTheStepWithoutTheBatchesAndWithoutCounting) {
  const JobId id = submit(1, 1);
  deliver();
  const std::string before = add_checkpoint(id, 1, 40);
  add_checkpoint(id, 1, 50);
  ends(id, 76, roll_back(/*before=*/45, /*batch=*/47, /*allowed=*/2));
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(attempt(id, 1).outcome(), outcome::kRolledBack);
  EXPECT_EQ(attempt(id, 1).cause(), v1::END_CAUSE_ROLLED_BACK);
  EXPECT_EQ(job(id).restarts(), 0);
  EXPECT_THAT(last_reason(id, v1::JOB_STATE_QUEUED),
              AllOf(HasSubstr("attempt 1 is rolled back to before step 45 (1 of 2): "
                              "SpikeDetection: the loss of batch 47 spikes"),
                    HasSubstr("goes on from checkpoint " + before)));
  EXPECT_EQ(orders_.back().resume_checkpoint_id, before);
  EXPECT_THAT(skipped(orders_.back()), ElementsAre(47));
  EXPECT_EQ(engine_->view(1).counts.requeued.at(v1::END_CAUSE_ROLLED_BACK), 1u);

  ends(id, 1);
  EXPECT_THAT(skipped(orders_.back()), ElementsAre(47)) << "for all later attempts";
}

TEST_F(EngineRecoveryTest, RollBacksAreBounded) {
  const JobId id = submit(1, 1);
  deliver();
  ends(id, 76, roll_back(45, 47, /*allowed=*/1));
  EXPECT_EQ(orders_.back().resume_checkpoint_id, "") << "there is none";
  const std::string kept = add_checkpoint(id, 2, 30);
  add_checkpoint(id, 2, 70);
  ends(id, 76, roll_back(60, 66, /*allowed=*/1));
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job(id).reason(), HasSubstr("all 1 roll-backs are used (max_roll_backs)"));
  ASSERT_TRUE(engine_->resume(id).ok());
  engine_->settle();
  deliver();
  EXPECT_EQ(orders_.back().resume_checkpoint_id, kept) << "also a resume goes back before it";
  EXPECT_THAT(skipped(orders_.back()), ElementsAre(47, 66));
  ends(id, 76, roll_back(60, 67, /*allowed=*/1));
  EXPECT_EQ(attempt(id, 3).outcome(), outcome::kRolledBack) << "counted anew";
}

TEST_F(EngineRecoveryTest, RollBackIsStillKnownAfterAServerRestart) {
  const JobId id = submit(1, 1);
  deliver();
  const std::string before = add_checkpoint(id, 1, 40);
  add_checkpoint(id, 1, 50);
  // Nowhere to go at once.
  cluster_.disconnect(b_);
  engine_->node_unavailable(a_);
  ends(id, 76, roll_back(45, 47, 2));
  ASSERT_EQ(state(id), v1::JOB_STATE_QUEUED);
  orders_.clear();
  restart_server();
  connect_all();
  deliver();
  ASSERT_EQ(orders_.size(), 1u);
  EXPECT_EQ(orders_[0].resume_checkpoint_id, before);
  EXPECT_THAT(skipped(orders_[0]), ElementsAre(47));
}

TEST_F(EngineRecoveryTest, FailuresOfOtherRanksAreExplainedByTheRollBack) {
  const JobId id = submit(1, 2);
  deliver();
  add_checkpoint(id, 1, 50);
  v1::Event event;
  *event.mutable_finished() = roll_back(45, 47, 2);
  ASSERT_TRUE(store()
                  .events()
                  .apply({.attempt = {id, 1}, .rank = 1}, 0, storage::kRecordBytes,
                         {storage::record(0, event)})
                  .ok());
  cluster_.exit(a_, 0, 1);
  cluster_.exit(a_, 1, 76);
  cluster_.drain(a_, 0);
  cluster_.drain(a_, 1);
  deliver();
  EXPECT_EQ(attempt(id, 1).outcome(), outcome::kRolledBack);
  EXPECT_EQ(orders_.back().resume_checkpoint_id, "");
}

}  // namespace
}  // namespace lctl::jobs
