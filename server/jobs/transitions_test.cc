#include "server/jobs/transitions.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/testing/transitions_fixture.h"

namespace lctl::jobs {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST_F(TransitionsTest, GangOnOneNodeRunsToItsEnd) {
  place(2);
  EXPECT_THAT(commands(), ElementsAre("launch node-a bind"));
  const LaunchOrder& order = std::get<LaunchCommand>(last.commands[0]).order;
  EXPECT_EQ(order.attempt, (AttemptId{JobId{"jjjjjjjjjj"}, 1}));
  EXPECT_EQ(order.world_size, 2);
  ASSERT_EQ(order.ranks.size(), 2u);
  EXPECT_EQ(order.ranks[1].rank, 1);
  EXPECT_EQ(order.ranks[1].local_rank, 1);
  EXPECT_EQ(order.ranks[1].device.index, 5);

  running(0);
  EXPECT_EQ(state(), v1::JOB_STATE_STARTING);
  running(1);
  EXPECT_EQ(state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(record.job.started_us(), time);
  exits(0, 0);
  drains(0);
  exits(1, 0);
  EXPECT_FALSE(owes_end) << "its data is still on the way";
  drains(1);
  v1::Finished done = said(v1::Finished::OUTCOME_SUCCEEDED, "");
  done.set_global_step(1200);
  conclude({done});

  EXPECT_EQ(state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(record.job.finished_us(), time);
  EXPECT_EQ(record.attempt.outcome(), outcome::kSucceeded);
  EXPECT_EQ(record.attempt.finished_us(), time);
  EXPECT_THAT(commands(), ElementsAre("forget node-a"));
  EXPECT_THAT(history, ElementsAre("STARTING: placed on a", "RUNNING: all 2 ranks have started",
                                   "SUCCEEDED: finished at step 1200"));
}

TEST_F(TransitionsTest, OtherNodesAreLaunchedWhenRankZerosNodeListens) {
  place(2, 2);
  EXPECT_THAT(commands(), ElementsAre("launch node-a bind"));
  on(RendezvousReady{kB, 4444});
  EXPECT_THAT(commands(), IsEmpty()) << "not the node of rank 0";
  on(RendezvousReady{kA, 4444});
  ASSERT_THAT(commands(), ElementsAre("launch node-b"));
  const LaunchOrder& order = std::get<LaunchCommand>(last.commands[0]).order;
  EXPECT_EQ(order.rendezvous_address, "10.0.0.1");
  EXPECT_EQ(order.rendezvous_port, 4444);
  EXPECT_EQ(order.node_rank, 1);
  EXPECT_EQ(order.ranks[0].rank, 2);
  on(RendezvousReady{kA, 4444});
  EXPECT_THAT(commands(), IsEmpty()) << "a repeated answer";
}

TEST_F(TransitionsTest, FailedRankStopsTheGangAtOnceAndTheJobGoesBackWhenAllAreOver) {
  start(2);
  exits(1, 1, "RuntimeError: boom");
  EXPECT_THAT(commands(), ElementsAre("stop node-a 1000"));
  EXPECT_EQ(state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(
      reason(),
      "rank 1 exited with code 1: RuntimeError: boom; waiting for the attempt's ranks to end");
  drains(1);
  exits(0, 143);
  EXPECT_THAT(commands(), IsEmpty()) << "the verdict stands";
  drains(0);
  conclude(
      {said(v1::Finished::OUTCOME_FAILED, "x"), said(v1::Finished::OUTCOME_FAILED, "bad batch")},
      "c1");

  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(record.job.restarts(), 1);
  EXPECT_EQ(reason(), "attempt 1 failed, restart 1 of 3: rank 1 failed: bad batch");
  EXPECT_EQ(record.attempt.outcome(), outcome::kFailed);
  EXPECT_LE(record.not_before, now().monotonic) << "a first failure does not wait";

  place(2, 0, "c1", 400);
  EXPECT_EQ(record.attempt.number(), 2);
  EXPECT_EQ(record.attempt.resumed_from_checkpoint(), "c1");
  EXPECT_EQ(record.attempt.resumed_at_step(), 400);
  const LaunchOrder& order = std::get<LaunchCommand>(last.commands[0]).order;
  EXPECT_EQ(order.resume_checkpoint_id, "c1");
  EXPECT_EQ(order.resume_checkpoint_size, 9);
}

TEST_F(TransitionsTest, RestartsAreUsedUpAndBackOffGrowsOnlyWithoutProgress) {
  std::vector<std::int64_t> pauses;
  for (int attempt = 1; attempt <= 4; ++attempt) {
    start(1);
    exits(0, 1);
    drains(0);
    conclude({}, "");
    pauses.push_back((record.not_before - now().monotonic).count() / 1'000'000);
  }
  EXPECT_THAT(pauses, ElementsAre(0, 1, 2, 4));
  EXPECT_EQ(state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(reason(), "rank 0 exited with code 1; all 3 restarts are used");
  EXPECT_EQ(record.job.finished_us(), time);
}

TEST_F(TransitionsTest, ProgressEndsTheBackOff) {
  start(1);
  exits(0, 1);
  drains(0);
  conclude({}, "");
  start(1);
  exits(0, 1);
  drains(0);
  conclude({}, "c1");
  EXPECT_EQ(record.attempts_without_progress, 0);
  EXPECT_EQ(record.not_before, now().monotonic);
}

TEST_F(TransitionsTest, BadSpecFailsWithoutRetryInTheTrainersWords) {
  start(1);
  exits(0, 2, "last line");
  drains(0);
  conclude({said(v1::Finished::OUTCOME_BAD_SPEC, "model.layers.0: Linear needs out_features")});
  EXPECT_EQ(state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(reason(), "model.layers.0: Linear needs out_features");
  EXPECT_EQ(record.job.restarts(), 0);
}

TEST_F(TransitionsTest, ExitCodeTwoAloneIsABadSpecToo) {
  start(1);
  exits(0, 2);
  drains(0);
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(reason(), "the trainer refused the configuration (rank 0 exited with code 2)");
}

TEST_F(TransitionsTest, StopWaitsForTheCheckpointAndTheDrain) {
  start(2);
  stop();
  EXPECT_EQ(state(), v1::JOB_STATE_STOPPING);
  EXPECT_THAT(commands(), ElementsAre("stop node-a 30000"));
  exits(0, 75);
  exits(1, 75);
  drains(0);
  EXPECT_EQ(state(), v1::JOB_STATE_STOPPING);
  drains(1);
  conclude({}, "c1");
  EXPECT_EQ(state(), v1::JOB_STATE_STOPPED);
  EXPECT_EQ(reason(), "stopped by me");
  EXPECT_EQ(record.attempt.outcome(), outcome::kStopped);

  on(ResumeRequested{});
  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(record.job.finished_us(), 0);
}

TEST_F(TransitionsTest, StoppedByForceSaysSo) {
  start(1);
  stop();
  exits(0, 137);
  drains(0);
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_STOPPED);
  EXPECT_EQ(reason(), "stopped by me; rank 0 was killed: it did not end within the grace time");
}

TEST_F(TransitionsTest, JobThatFinishedBeforeTheStopReachedItHasSucceeded) {
  start(1);
  stop();
  exits(0, 0);
  drains(0);
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(TransitionsTest, QueuedJobStopsAtOnce) {
  stop();
  EXPECT_EQ(state(), v1::JOB_STATE_STOPPED);
  EXPECT_THAT(commands(), IsEmpty());
  EXPECT_FALSE(owes_end);
}

TEST_F(TransitionsTest, StopBeforeAllNodesAreLaunchedEndsTheOthersUnstarted) {
  place(1, 1);
  stop();
  EXPECT_THAT(commands(), ElementsAre("stop node-a 30000"));
  EXPECT_EQ(record.attempt.ranks(1).state(), v1::RANK_STATE_DRAINED);
  on(RendezvousReady{kA, 1});
  EXPECT_THAT(commands(), IsEmpty());
  exits(0, 75);
  drains(0);
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_STOPPED);
}

TEST_F(TransitionsTest, SecondStopMayBeMoreUrgentNotLess) {
  start(1);
  stop(seconds(30));
  stop(seconds(60));
  EXPECT_THAT(commands(), IsEmpty());
  stop(Duration::zero());
  EXPECT_THAT(commands(), ElementsAre("stop node-a 0"));
  EXPECT_EQ(history.size(), 3u) << "no transition of its own";
}

TEST_F(TransitionsTest, ExitSeventyFiveUnaskedIsAnInterruptionThatDoesNotCount) {
  start(1);
  exits(0, 75);
  drains(0);
  conclude({}, "c1");
  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(record.job.restarts(), 0);
  EXPECT_EQ(record.attempt.outcome(), outcome::kPreempted);
}

TEST_F(TransitionsTest, LostNodePutsTheJobBackWithoutCounting) {
  start_pair();
  on(NodeLost{kB, "node b has not answered for 10 s"});
  EXPECT_THAT(commands(), ElementsAre("stop node-a 1000"));
  exits(0, 1);
  drains(0);
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(record.job.restarts(), 0);
  EXPECT_EQ(record.attempt.outcome(), outcome::kLost);
  EXPECT_EQ(reason(), "attempt 1 was lost: node b has not answered for 10 s");
}

// The collectives of the living ranks fail at once, the dead node is noticed seconds later.
TEST_F(TransitionsTest, LostNodeExplainsEarlierFailuresOfOtherRanks) {
  start_pair();
  exits(0, 1, "connection closed by peer");
  drains(0);
  EXPECT_FALSE(owes_end);
  on(NodeLost{kB, "node b is gone"});
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(record.job.restarts(), 0);
}

TEST_F(TransitionsTest, RankLostWithARebootIsNoFailure) {
  start_pair();
  lost_with_reboot(1);
  EXPECT_THAT(commands(), ElementsAre("stop node-a 1000", "stop node-b 1000"));
  exits(0, 1, "connection closed by peer");
  drains(0);
  EXPECT_FALSE(owes_end) << "what rank 1 wrote before is still on its way";
  drains(1);
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(record.job.restarts(), 0);
  EXPECT_EQ(record.attempt.outcome(), outcome::kLost);
  EXPECT_EQ(reason(), "attempt 1 was lost: rank 1 was lost with a reboot of node b");
}

TEST_F(TransitionsTest, RebootExplainsEarlierFailuresOfOtherRanks) {
  start_pair();
  exits(0, 1, "connection closed by peer");
  drains(0);
  lost_with_reboot(1);
  drains(1);
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(record.job.restarts(), 0);
  EXPECT_EQ(reason(), "attempt 1 was lost: rank 1 was lost with a reboot of node b");
}

TEST_F(TransitionsTest, RankWhoseLeaseRanOutIsNoFailure) {
  start_pair();
  lease_ran_out(1);
  exits(0, 1, "connection closed by peer");
  drains(0);
  drains(1);
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(record.job.restarts(), 0);
  EXPECT_EQ(record.attempt.cause(), v1::END_CAUSE_INFRASTRUCTURE);
  EXPECT_TRUE(record.avoided.empty());
  EXPECT_EQ(reason(),
            "attempt 1 was lost: rank 1 on b: lease ran out: node has not heard from the server "
            "for 120 s");
}

TEST_F(TransitionsTest, LaunchThatFailsCountsAndAPermanentOneExcludesTheNode) {
  place(2);
  on(LaunchFailed{kA, "disk full", false});
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(reason(),
            "attempt 1 failed, restart 1 of 3: node a could not start its ranks: disk full");
  EXPECT_TRUE(record.job.excluded_nodes().empty());
  place(2);
  on(LaunchFailed{kA, "no such program", true});
  conclude();
  ASSERT_EQ(record.job.excluded_nodes_size(), 1);
  EXPECT_EQ(record.job.excluded_nodes(0).node_id(), kA.str());
}

TEST_F(TransitionsTest, LaunchThatFailsWhileStoppingIsNoSuccess) {
  place(1);
  stop();
  on(LaunchFailed{kA, "disk full", false});
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_STOPPED);
}

TEST_F(TransitionsTest, OldAndRepeatedReportsChangeNothing) {
  start(1);
  running(0);
  EXPECT_FALSE(last.changed);
  exits(0, 0);
  running(0);
  EXPECT_FALSE(last.changed);
  on(RankReported{kB,
                  {.attempt = record.attempt_id(), .rank = 0, .state = v1::RANK_STATE_DRAINED}});
  EXPECT_FALSE(last.changed) << "from a node that does not have this rank";
  on(RankReported{kA,
                  {.attempt = record.attempt_id(), .rank = 7, .state = v1::RANK_STATE_DRAINED}});
  EXPECT_FALSE(last.changed);
}

TEST_F(TransitionsTest, ReturningNodeThatNeverGotItsLaunchGetsItAgain) {
  place(2);
  on(NodeReturned{kA, "a", {}});
  EXPECT_THAT(commands(), ElementsAre("launch node-a bind"));
  EXPECT_FALSE(last.changed);
}

TEST_F(TransitionsTest, ReturningNodeThatForgotRunningRanksHasLostThem) {
  start(2);
  on(NodeReturned{kA, "a", {0}});
  EXPECT_EQ(record.attempt.ranks(1).state(), v1::RANK_STATE_LOST);
  EXPECT_THAT(record.attempt.reason(), StartsWith("node a no longer knows"));
}

TEST_F(TransitionsTest, ReturningNodeIsToldAgainToStop) {
  start(1);
  stop(seconds(7));
  on(NodeReturned{kA, "a", {0}});
  EXPECT_THAT(commands(), ElementsAre("stop node-a 7000"));
}

TEST_F(TransitionsTest, ReturningFirstNodeIsAskedAgainForTheRendezvous) {
  place(1, 1);
  on(NodeReturned{kB, "b", {}});
  EXPECT_THAT(commands(), IsEmpty()) << "its turn has not come";
  on(NodeReturned{kA, "a", {0}});
  EXPECT_THAT(commands(), ElementsAre("launch node-a bind"));
}

TEST_F(TransitionsTest, GangThatWasStartingWhenTheServerRestartedStartsAnewUnlessAllRun) {
  place(1, 1);
  JobRecord as_stored = restore(record.job, std::vector{record.attempt}, "", now());
  as_stored.spec = record.spec;

  record = as_stored;
  on(NodeReturned{kA, "a", {0}});
  running(0);
  on(NodeReturned{kB, "b", {1}});
  running(1);
  EXPECT_EQ(state(), v1::JOB_STATE_RUNNING);

  record = as_stored;
  on(NodeReturned{kA, "a", {0}});
  running(0);
  on(NodeReturned{kB, "b", {}});
  EXPECT_THAT(record.attempt.reason(), HasSubstr("broke while the gang was starting"));
  EXPECT_THAT(commands(), ElementsAre("stop node-a 1000"));
}

TEST_F(TransitionsTest, OneNodeJobThatWasStartingWhenTheServerRestartedIsLaunchedAgain) {
  place(2);
  JobRecord stored = restore(record.job, std::vector{record.attempt}, "", now());
  stored.spec = record.spec;
  record = stored;
  on(NodeReturned{kA, "a", {}});
  EXPECT_THAT(commands(), ElementsAre("launch node-a bind"));
}

TEST_F(TransitionsTest, RequestsThatCannotBeGrantedSayWhy) {
  EXPECT_TRUE(stop_refusal(record).ok());
  EXPECT_EQ(
      message_of(resume_refusal(record)),
      "job jjjjjjjjjj cannot be resumed: it is QUEUED, and only a STOPPED or FAILED job can go on");
  start(1);
  exits(0, 0);
  drains(0);
  conclude();
  EXPECT_EQ(message_of(stop_refusal(record)),
            "job jjjjjjjjjj cannot be stopped: it has SUCCEEDED already");
  EXPECT_THAT(std::string(message_of(resume_refusal(record))), HasSubstr("submit it again"));
}

}  // namespace
}  // namespace lctl::jobs
