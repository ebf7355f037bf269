// Faults on purpose: they happen, and cost nothing.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/drill.h"
#include "server/jobs/testing/engine_fixture.h"

namespace lctl::jobs {
namespace {

using std::chrono::seconds;
using storage::text_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class EngineDrillTest : public EngineTest {
 protected:
  EngineDrillTest() {
    cluster_.on_launch = [this](const LaunchOrder& order) { orders_.push_back(order); };
  }
  JobId running(int checkpoints) {
    const JobId id = submit(1, 1);
    deliver();
    for (int step = 1; step <= checkpoints; ++step) {
      EXPECT_TRUE(storage::upload(store(), {.attempt = {id, 1}, .step = 10 * step}).ok());
    }
    return id;
  }
  absl::Status drill(const JobId& id, Fault fault, int rank = 0, bool force = false) {
    const auto begun = engine_->drill(id, {.fault = fault, .rank = rank}, force);
    engine_->settle();
    return begun.status();
  }
  void dies(const JobId& id) {
    for (const NodeId& node : {a_, b_}) {
      for (std::size_t i = 0; i < cluster_.node(node).processes.size(); ++i) {
        if (cluster_.node(node).processes[i].attempt.number != job(id).attempt()) continue;
        cluster_.exit(node, i, 137);
        cluster_.drain(node, i);
      }
    }
    deliver();
  }
  v1::Attempt attempt(const JobId& id, std::size_t number) {
    return (*store().jobs().attempts(id))[number - 1];
  }
  std::string queued_reason(const JobId& id) {
    std::string reason;
    const auto rows = store().jobs().transitions(id);
    for (const v1::Transition& row : *rows) {
      if (row.to() == v1::JOB_STATE_QUEUED) reason = row.reason();
    }
    return reason;
  }

  std::vector<LaunchOrder> orders_;
};

TEST_F(EngineDrillTest, KilledRankCountsNeitherAsARestartNorAgainstItsNode) {
  const JobId id = running(/*checkpoints=*/1);
  ASSERT_EQ(text_of(drill(id, Fault::kKillRank)), "OK");
  EXPECT_THAT(cluster_.injected(), ElementsAre(id.str() + ".1/0@a"));
  EXPECT_EQ(attempt(id, 1).reason(), "drill: kill-rank of rank 0") << "durable before it happens";
  dies(id);
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(job(id).restarts(), 0);
  EXPECT_EQ(attempt(id, 1).outcome(), outcome::kLost);
  EXPECT_EQ(attempt(id, 1).reason(), "drill: rank 0 was killed by SIGKILL (signal 9)");
  EXPECT_EQ(attempt(id, 1).blamed_node(), "");
  EXPECT_EQ(queued_reason(id),
            "attempt 1 was lost: drill: rank 0 was killed by SIGKILL (signal 9)");
  EXPECT_EQ(attempt(id, 2).resumed_at_step(), 10);
  EXPECT_EQ(attempt(id, 2).reason(), "");
}

TEST_F(EngineDrillTest, AsManyAsOneLikesAndNoCrashLoop) {
  const JobId id = running(1);
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(text_of(drill(id, Fault::kKillRank)), "OK") << i;
    dies(id);
    ASSERT_EQ(state(id), v1::JOB_STATE_RUNNING) << i;
  }
  dies(id);
  EXPECT_EQ(job(id).restarts(), 1) << "that one was none";
}

TEST_F(EngineDrillTest, MarkSurvivesAServerRestartAndEndsWithItsTime) {
  const JobId id = running(1);
  ASSERT_EQ(text_of(drill(id, Fault::kKillRank)), "OK");
  restart_server();
  connect_all();
  dies(id);
  EXPECT_EQ(job(id).restarts(), 0);

  ASSERT_EQ(text_of(drill(id, Fault::kPartition)), "OK");
  advance(seconds(10 + 3 + 61));
  dies(id);
  EXPECT_EQ(job(id).restarts(), 1) << "long after the drill";
  EXPECT_THAT(attempt(id, 2).reason(), StartsWith("rank 0 was killed"));
}

TEST_F(EngineDrillTest, PreemptionIsTheServersOwn) {
  const JobId id = running(0);
  ASSERT_EQ(text_of(drill(id, Fault::kPreempt)), "OK") << "it writes a checkpoint itself";
  EXPECT_THAT(cluster_.injected(), IsEmpty());
  EXPECT_TRUE(cluster_.node(a_).processes[0].asked_to_stop);
  cluster_.finish_all();
  deliver();
  EXPECT_EQ(attempt(id, 1).outcome(), outcome::kPreempted);
  EXPECT_EQ(queued_reason(id), "attempt 1 was preempted: drill: it is asked to make room");
}

TEST_F(EngineDrillTest, LostNodeSaysThatItIsADrill) {
  const JobId id = running(1);
  ASSERT_EQ(text_of(drill(id, Fault::kPartition)), "OK");
  cluster_.disconnect(a_);
  engine_->node_lost(a_, "node a has not answered for 10.0 s");
  engine_->settle();
  deliver();
  EXPECT_THAT(queued_reason(id), AllOf(HasSubstr("drill: "), HasSubstr("has not answered")));
  EXPECT_THAT(cluster_.launched().back(), HasSubstr("@b"));
}

TEST_F(EngineDrillTest, DamagedDownloadIsOfTheNextAttemptOnly) {
  const JobId id = running(2);
  ASSERT_EQ(text_of(drill(id, Fault::kCorruptCheckpoint)), "OK");
  cluster_.node(a_).damages_next_download = true;
  cluster_.node(b_).damages_next_download = true;
  dies(id);
  ASSERT_EQ(orders_.size(), 2u);
  EXPECT_FALSE(orders_[0].damage_download);
  EXPECT_TRUE(orders_[1].damage_download);
  cluster_.node(a_).damages_next_download = false;
  cluster_.node(b_).damages_next_download = false;
  verify();
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  ASSERT_EQ(orders_.size(), 3u);
  EXPECT_FALSE(orders_[2].damage_download);
  EXPECT_EQ(attempt(id, 3).resumed_at_step(), 10);
  EXPECT_THAT(queued_reason(id),
              AllOf(HasSubstr("drill: "), HasSubstr("the store's copy is sound")));
  EXPECT_EQ(job(id).restarts(), 0);
  const auto rows = store().checkpoints().list(id);
  for (const auto& row : *rows) EXPECT_EQ(row.damage, "");
}

TEST_F(EngineDrillTest, WhatCouldCostWorkIsRefusedUnlessForced) {
  const JobId id = running(0);
  EXPECT_THAT(text_of(drill(id, Fault::kKillRank)), HasSubstr("it has no checkpoint yet"));
  EXPECT_THAT(text_of(drill(id, Fault::kCorruptCheckpoint, 0, /*force=*/true)),
              HasSubstr("there is no checkpoint"));
  EXPECT_EQ(drill(id, Fault::kKillRank, /*rank=*/7).code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(storage::upload(store(), {.attempt = {id, 1}, .step = 10}).ok());
  EXPECT_THAT(text_of(drill(id, Fault::kCorruptCheckpoint)), HasSubstr("one checkpoint only"));
  EXPECT_EQ(text_of(drill(id, Fault::kHang)), "OK");
  EXPECT_THAT(text_of(drill(id, Fault::kKillRank)), HasSubstr("another drill is under way"));
  EXPECT_THAT(cluster_.injected(), testing::SizeIs(1));
}

TEST_F(EngineDrillTest, JobThatDoesNotRunOrHasNoRestartLeftIsRefused) {
  v1::JobSpec spec = EngineTest::spec(1, 1);
  spec.set_max_restarts(0);
  const JobId id = submit(spec);
  EXPECT_THAT(text_of(drill(id, Fault::kKillRank)), HasSubstr("needs a job that runs"));
  deliver();
  ASSERT_TRUE(storage::upload(store(), {.attempt = {id, 1}, .step = 10}).ok());
  EXPECT_THAT(text_of(drill(id, Fault::kKillRank)), HasSubstr("it has used its 0 restarts"));
  EXPECT_EQ(text_of(drill(id, Fault::kKillRank, 0, /*force=*/true)), "OK");
  dies(id);
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING) << "excused all the same";
  cluster_.finish_all();
  deliver();
  EXPECT_THAT(text_of(drill(id, Fault::kKillRank)), HasSubstr("it has ended (SUCCEEDED)"));
}

}  // namespace
}  // namespace lctl::jobs
