// When a job is tried again, from whose fault it was and what log policies have seen; and how a
// gang makes room.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/testing/transitions_fixture.h"

namespace lctl::jobs {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class RestartPolicyTest : public TransitionsTest {
 protected:
  // One attempt on one rank that ends with `code` at `step`.
  void fail(int code, std::string words, std::int64_t step = 0, std::string newest = "") {
    place(1, 0, newest, step);
    running(0);
    record.reached_step = step;
    exits(0, code, std::move(words));
    drains(0);
    conclude({}, newest);
  }
};

TEST_F(RestartPolicyTest, AttemptThatFailedSaysWhoseFaultAndWhoAndWhere) {
  start(2);
  record.reached_step = 120;
  exits(1, 137, "killed by signal 9 (Killed)");
  exits(0, 1, "connection closed");
  drains(0);
  drains(1);
  conclude({}, "c1");
  EXPECT_EQ(record.attempt.cause(), v1::END_CAUSE_INFRASTRUCTURE);
  EXPECT_EQ(record.attempt.culprit(), 1);
  EXPECT_EQ(record.attempt.ended_at_step(), 120);
  EXPECT_EQ(record.attempt.blamed_node(), kA.str());
  EXPECT_THAT(record.avoided, ElementsAre(kA));

  place(1);
  running(0);
  exits(0, 1, "out of range");
  drains(0);
  conclude({}, "c2");
  EXPECT_EQ(record.attempt.cause(), v1::END_CAUSE_PROGRAM);
  EXPECT_EQ(record.attempt.blamed_node(), "") << "a program's own error says nothing of the node";
  EXPECT_THAT(record.avoided, IsEmpty());
}

TEST_F(RestartPolicyTest, NodeThatCouldNotLaunchIsAvoided) {
  place(2);
  on(LaunchFailed{kA, "disk full", false});
  conclude();
  EXPECT_EQ(record.attempt.cause(), v1::END_CAUSE_INFRASTRUCTURE);
  EXPECT_THAT(record.avoided, ElementsAre(kA));
}

TEST_F(RestartPolicyTest, CrashLoopEndsTheJob) {
  fail(1, "step 7: out of range");
  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  fail(1, "step 8: out of range");
  EXPECT_EQ(state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(reason(),
            "rank 0 exited with code 1: step 8: out of range; so did attempt 1, and neither has "
            "left a checkpoint: a crash loop, not tried again; correct the cause; "
            "`job.crash_loop: retry` uses all restarts");
  on(ResumeRequested{});
  EXPECT_FALSE(record.failure.has_value()) << "a person has decided otherwise";
}

TEST_F(RestartPolicyTest, CrashLoopMayBeAskedFor) {
  change_spec([](v1::JobSpec& spec) { spec.set_retry_crash_loops(true); });
  for (int i = 0; i < 3; ++i) fail(1, "out of range");
  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  fail(1, "out of range");
  EXPECT_THAT(reason(), HasSubstr("all 3 restarts are used"));
}

TEST_F(RestartPolicyTest, WantOfMemoryAtTheSameStepEndsTheJob) {
  fail(137, "killed by signal 9 (Killed)", 500, "c1");
  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  fail(137, "killed by signal 9 (Killed)", 503, "c2");
  EXPECT_EQ(state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(reason(), HasSubstr("so was attempt 1 at about the same place (steps 500 and 503)"));
}

TEST_F(RestartPolicyTest, AttemptThatWasLostBetweenTwoFailuresChangesNothing) {
  fail(1, "out of range");
  start(1);
  on(NodeLost{kA, "node a is gone"});
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  fail(1, "out of range");
  EXPECT_EQ(state(), v1::JOB_STATE_FAILED);
}

TEST_F(RestartPolicyTest, LogPolicyCancelsRetries) {
  change_spec([](v1::JobSpec& spec) {
    spec.add_log_policies()->set_pattern("NaN");
    spec.mutable_log_policies(0)->set_action(v1::LogPolicy::ACTION_CANCEL_RETRIES);
  });
  start(1);
  matches(0, "loss is NaN");
  EXPECT_TRUE(last.changed);
  EXPECT_EQ(state(), v1::JOB_STATE_RUNNING) << "the attempt may end well all the same";
  matches(0, "loss is NaN again");
  EXPECT_FALSE(last.changed);
  exits(0, 1, "diverged");
  drains(0);
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(reason(),
            "rank 0 exited with code 1: diverged; not tried again: log policy `NaN` matched rank 0 "
            "on a: loss is NaN");
  on(ResumeRequested{});
  EXPECT_EQ(record.job.retries_cancelled(), "");
}

TEST_F(RestartPolicyTest, LogPolicyExcludesTheNodeOrSetsATag) {
  change_spec([](v1::JobSpec& spec) {
    spec.add_log_policies()->set_pattern("Xid");
    spec.mutable_log_policies(0)->set_action(v1::LogPolicy::ACTION_EXCLUDE_NODE);
    spec.add_log_policies()->set_pattern("ECC");
    spec.mutable_log_policies(1)->set_action(v1::LogPolicy::ACTION_LABEL);
    spec.mutable_log_policies(1)->set_label("ecc");
  });
  matches(0, "too early: it is not placed");
  EXPECT_TRUE(record.job.excluded_nodes().empty());
  start(1);
  matches(0, "Xid 79");
  matches(0, "Xid 80");
  ASSERT_EQ(record.job.excluded_nodes_size(), 1);
  EXPECT_EQ(record.job.excluded_nodes(0).node_name(), "a");
  EXPECT_EQ(record.job.excluded_nodes(0).reason(), "log policy `Xid` matched rank 0 on a: Xid 79");
  matches(1, "ECC error");
  EXPECT_THAT(last.tags, ElementsAre(Pair("log_policy.ecc", "ECC error")));
  for (const int none : {-1, 2}) matches(none, "of another spec");
  on(LogMatched{kB, 0, 0, "of a node that does not run it"});
  EXPECT_FALSE(last.changed);
}

TEST_F(RestartPolicyTest, GangThatMakesRoomGoesOnElsewhereWithoutCounting) {
  start(2);
  preempt();
  EXPECT_THAT(commands(), ElementsAre("stop node-a 300000"));
  EXPECT_EQ(state(), v1::JOB_STATE_RUNNING);
  preempt(seconds(1));
  EXPECT_THAT(commands(), IsEmpty()) << "it is asked once";
  exits(0, 75);
  exits(1, 137);
  drains(0);
  EXPECT_FALSE(owes_end) << "its checkpoint is still on its way";
  drains(1);
  conclude({}, "c1");
  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(reason(), "attempt 1 was preempted: node a is drained");
  EXPECT_EQ(record.attempt.outcome(), outcome::kPreempted);
  EXPECT_EQ(record.attempt.cause(), v1::END_CAUSE_PREEMPTED);
  EXPECT_EQ(record.job.restarts(), 0);
  EXPECT_EQ(record.attempts_without_progress, 0);
  EXPECT_LE(record.not_before, now().monotonic);
}

TEST_F(RestartPolicyTest, GangThatFinishesInsteadOfMakingRoomHasSucceeded) {
  start(1);
  preempt();
  exits(0, 0);
  drains(0);
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(RestartPolicyTest, StopOfAGangThatMakesRoomLeavesItTheTimeForItsCheckpoint) {
  start(1);
  preempt();
  stop(seconds(30));
  EXPECT_EQ(state(), v1::JOB_STATE_STOPPING);
  EXPECT_THAT(commands(), ElementsAre("stop node-a 30000"));
}

TEST_F(RestartPolicyTest, GangThatIsStartingOrEndingMakesRoomToo) {
  place(1, 1);
  preempt();
  EXPECT_EQ(record.attempt.ranks(1).state(), v1::RANK_STATE_DRAINED) << "never launched";
  exits(0, 75);
  drains(0);
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  start(1);
  exits(0, 1);
  preempt();
  EXPECT_THAT(commands(), IsEmpty());
  drains(0);
  conclude();
  EXPECT_EQ(record.attempt.outcome(), outcome::kFailed) << "it had failed before";
}

}  // namespace
}  // namespace lctl::jobs
