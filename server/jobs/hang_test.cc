// A gang that gets nowhere: who is at fault, and what follows.
#include "server/jobs/hang.h"

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

// Of a rank that works on a batch and has begun so many collectives, the newest an all_reduce.
RankStall stall_of(int rank, std::int64_t begun) {
  return {.attempt = {JobId{"jjjjjjjjjj"}, 1},
          .rank = rank,
          .stalled = true,
          .silence = seconds(47),
          .phase = "training",
          .in_batch = true,
          .step = 1200,
          .begun = begun,
          .passed = begun - 1,
          .recent = {"barrier", "broadcast", "all_reduce"}};
}

class FindHangTest : public testing::Test {
 protected:
  HangFinding find(int ranks) {
    v1::Attempt attempt;
    for (int i = 0; i < ranks; ++i) {
      attempt.add_ranks()->set_node_name("gpu-" + std::to_string(i));
    }
    return find_hang(told_, attempt, "jjjjjjjjjj");
  }
  void told(int rank, std::int64_t begun) { told_[rank] = stall_of(rank, begun); }
  // It waits for data, after its collectives.
  void told_waiting_for_data(int rank, std::int64_t begun) {
    told(rank, begun);
    told_[rank].in_batch = false;
    told_[rank].passed = begun;
  }

  std::map<int, RankStall> told_;
};

TEST_F(FindHangTest, RankThatHasNotReachedWhatTheOthersWaitInIsNamed) {
  told(0, 812);
  told_waiting_for_data(1, 811);
  told(2, 812);
  told(3, 812);
  const HangFinding found = find(4);
  EXPECT_EQ(found.culprit, 1);
  EXPECT_EQ(
      found.reason,
      "rank 1 (node gpu-1) hangs: no sign of life for 47 s at step 1200 (training, waiting for "
      "its next batch); ranks 0, 2 and 3 wait in all_reduce #812, which it has not reached; "
      "the stacks of all ranks are in `lctl logs jjjjjjjjjj`");
}

TEST_F(FindHangTest, FirstCollectiveThatIsMissingIsNamedWhenOthersHaveBegunMore) {
  told(0, 813);  // two buckets of gradients, one after the other
  told_waiting_for_data(1, 811);
  EXPECT_THAT(find(2).reason,
              HasSubstr("rank 0 waits in broadcast #812, which it has not reached"));
  told(0, 900);  // too long ago to know what it was
  EXPECT_THAT(find(2).reason, HasSubstr("rank 0 waits in collective #812"));
}

TEST_F(FindHangTest, StoppedProcessIsNamedWhenAllHaveBegunAsMany) {
  told(0, 812);
  told(1, 812);
  told_[1].process = "stopped (SIGSTOP)";
  const HangFinding found = find(2);
  EXPECT_EQ(found.culprit, 1);
  EXPECT_THAT(found.reason,
              StartsWith("rank 1 (node gpu-1) hangs: no sign of life for 47 s at step "
                         "1200 (training, in a batch); its process is stopped "
                         "(SIGSTOP); the stacks"));
}

TEST_F(FindHangTest, OneThatIsBehindCountsMoreThanOneThatWaitsInTheKernel) {
  told(0, 812);
  told_[0].process = "waiting in the kernel for a device or a file system (D)";
  told_waiting_for_data(1, 811);
  EXPECT_EQ(find(2).culprit, 1);
  told_waiting_for_data(2, 811);
  told_[2].process = "stopped (SIGSTOP)";
  EXPECT_EQ(find(3).culprit, 2) << "of those that are behind";
}

TEST_F(FindHangTest, WithoutEvidenceNobodyIsBlamed) {
  told(0, 812);
  told(1, 812);
  const HangFinding found = find(2);
  EXPECT_EQ(found.culprit, -1);
  EXPECT_THAT(found.reason,
              HasSubstr("ranks 0 and 1 wait in all_reduce #812; which rank is at fault "
                        "cannot be told"));
}

TEST_F(FindHangTest, OnlyRankAndOnlyStalledRankAreBlamed) {
  told(0, 0);
  told_[0].phase = "between epochs";
  const HangFinding alone = find(1);
  EXPECT_EQ(alone.culprit, 0);
  EXPECT_EQ(alone.reason,
            "rank 0 (node gpu-0) hangs: no sign of life for 47 s at step 1200 (between "
            "epochs); its stacks are in `lctl logs jjjjjjjjjj`");
  told(1, 0);
  told_[1].stalled = false;
  EXPECT_EQ(find(2).culprit, 0);
}

TEST_F(FindHangTest, RanksWithoutAPulseAreNotCompared) {
  told(0, 812);
  told_[1] = RankStall{.rank = 1};
  EXPECT_EQ(find(2).culprit, 0);
  told_[1].process = "stopped (SIGSTOP)";
  const HangFinding found = find(2);
  EXPECT_EQ(found.culprit, 1);
  EXPECT_THAT(found.reason,
              StartsWith("rank 1 (node gpu-1) hangs; its process is stopped (SIGSTOP);"));
}

TEST_F(FindHangTest, ManyRanksAreNotAllNamed) {
  for (int i = 0; i < 64; ++i) told(i, 812);
  told_waiting_for_data(9, 811);
  EXPECT_THAT(find(64).reason,
              HasSubstr("ranks 0, 1, 2, 3, 4, 5, 6, 7 and 55 more wait in all_reduce #812"));
}

class HangTransitionsTest : public TransitionsTest {
 protected:
  void stalls(int rank, std::int64_t begun, bool stacks_told = false, bool stalled = true) {
    RankStall stall = stall_of(rank, begun);
    stall.stacks_told = stacks_told;
    stall.stalled = stalled;
    on(RankStalled{NodeId{record.attempt.ranks(rank).node_id()}, stall});
  }
};

TEST_F(HangTransitionsTest, FirstReportAsksAllRanksAndTheGangIsStoppedWhenAllHaveTold) {
  start_pair();
  stalls(0, 812);
  EXPECT_THAT(commands(), ElementsAre("dump node-a", "dump node-b"));
  EXPECT_EQ(record.hang_due, now().monotonic + seconds(8));
  EXPECT_FALSE(is_ending(record));
  stalls(1, 811);
  EXPECT_THAT(commands(), IsEmpty()) << "asked already";
  stalls(0, 812, /*stacks_told=*/true);
  EXPECT_FALSE(is_ending(record));
  stalls(1, 811, /*stacks_told=*/true);
  EXPECT_THAT(commands(), ElementsAre("stop node-a 1000", "stop node-b 1000"));
  EXPECT_EQ(record.attempt.culprit(), 1);
  EXPECT_EQ(record.attempt.blamed_node(), "node-b");
  EXPECT_FALSE(record.hang_due.has_value());

  exits(1, 137);
  exits(0, 143);
  drains(0);
  drains(1);
  conclude();
  EXPECT_EQ(state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(record.attempt.cause(), v1::END_CAUSE_HUNG);
  EXPECT_EQ(record.attempt.outcome(), outcome::kFailed);
  EXPECT_EQ(record.job.restarts(), 1);
  EXPECT_THAT(record.avoided, ElementsAre(kB));
  EXPECT_THAT(reason(), StartsWith("attempt 1 failed, restart 1 of 3: rank 1 (node b) hangs: "));
  EXPECT_THAT(reason(), HasSubstr("rank 0 waits in all_reduce #812, which it has not reached"));
}

TEST_F(HangTransitionsTest, NodeThatDoesNotAnswerIsNotWaitedForLong) {
  start_pair();
  stalls(0, 812);
  stalls(0, 812, /*stacks_told=*/true);
  EXPECT_FALSE(is_ending(record));
  on(HangDue{});
  EXPECT_EQ(record.attempt.cause(), v1::END_CAUSE_HUNG);
  EXPECT_THAT(commands(), ElementsAre("stop node-a 1000", "stop node-b 1000"));
  on(HangDue{});
  EXPECT_THAT(commands(), IsEmpty());
}

TEST_F(HangTransitionsTest, GangThatGoesOnAfterAllIsLeftAlone) {
  start_pair();
  stalls(0, 812);
  stalls(0, 813, /*stacks_told=*/false, /*stalled=*/false);
  EXPECT_FALSE(record.hang_due.has_value());
  on(HangDue{});
  EXPECT_FALSE(is_ending(record));
  stalls(1, 900);
  EXPECT_THAT(commands(), ElementsAre("dump node-a", "dump node-b"))
      << "a new stall is a new matter";
}

TEST_F(HangTransitionsTest, LateAndForeignReportsChangeNothing) {
  start_pair();
  on(RankStalled{kB, stall_of(0, 812)});  // not its node
  EXPECT_FALSE(record.hang_due.has_value());
  exits(1, 1, "boom");
  stalls(0, 812);
  EXPECT_THAT(commands(), IsEmpty()) << "the attempt has its verdict";
  EXPECT_FALSE(record.hang_due.has_value());
}

TEST_F(HangTransitionsTest, RankThatFailsWhileTheOthersAreAskedIsTheVerdict) {
  start_pair();
  stalls(0, 812);
  exits(1, 1, "boom");
  on(HangDue{});
  EXPECT_EQ(record.attempt.cause(), v1::END_CAUSE_PROGRAM);
}

TEST_F(HangTransitionsTest, RestartsAreUsedUp) {
  change_spec([](v1::JobSpec& spec) { spec.set_max_restarts(1); });
  for (int attempt = 1; attempt <= 2; ++attempt) {
    start(1);
    stalls(0, 0);
    stalls(0, 0, /*stacks_told=*/true);
    exits(0, 137);
    drains(0);
    conclude();
  }
  EXPECT_EQ(state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(reason(), HasSubstr("all 1 restarts are used"));
}

}  // namespace
}  // namespace lctl::jobs
