// Ranks that get nowhere: what the daemon tells the coordinator, and what stands in their logs.
#include <csignal>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "worker/agent/testing/daemon_test.h"

namespace lctl::agent {
namespace {

using ::testing::ContainsRegex;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class DaemonHangsTest : public DaemonTest {
 protected:
  // A rank that trains 20 batches and then hangs, a second after which it counts as hung.
  void launch_hanging(const std::string& then, const std::string& before = "") {
    v1::Launch launch = make_launch("pulse\n" + before + "batches 20\n" + then);
    launch.mutable_spec()->set_hang_after_ms(1'000);
    DaemonTest::launch(launch);
  }
  // The next news of a stall beyond the first `known`.
  v1::RankStalled wait_stall(std::size_t known = 0) {
    EXPECT_TRUE(coordinator_.wait([&](const Received& r) { return r.stalls.size() > known; }));
    const auto stalls = coordinator_.received().stalls;
    return stalls.size() > known ? stalls[known] : v1::RankStalled();
  }
  void ask_for_stacks() {
    v1::ServerMessage message;
    message.mutable_dump_stacks()->set_job_id(kJob);
    message.mutable_dump_stacks()->set_attempt(1);
    ASSERT_TRUE(eventually([&] { return coordinator_.send(message); }));
  }
  void wait_err(const std::string& text) {
    ASSERT_TRUE(coordinator_.wait([&](const Received& r) {
      const auto found = r.ranks.find({kJob, 1, 0});
      return found != r.ranks.end() && found->second.err.find(text) != std::string::npos;
    })) << received().err;
  }
};

TEST_F(DaemonHangsTest, StallIsToldWithWhereTheRankIs) {
  start_daemon();
  launch_hanging("wait_term\nexit 0\n");
  const v1::RankStalled stall = wait_stall();
  EXPECT_EQ(stall.job_id(), kJob);
  EXPECT_EQ(stall.attempt(), 1);
  EXPECT_EQ(stall.rank(), 0);
  EXPECT_TRUE(stall.stalled());
  EXPECT_GE(stall.silent_ms(), 1'000);
  EXPECT_EQ(stall.limit_ms(), 1'000);
  EXPECT_EQ(stall.phase(), "training");
  EXPECT_FALSE(stall.in_batch());
  EXPECT_EQ(stall.step(), 20);
  EXPECT_EQ(stall.collectives_begun(), 20);
  EXPECT_EQ(stall.collectives_passed(), 20);
  EXPECT_THAT(stall.recent_collectives(), SizeIs(16));
  EXPECT_THAT(stall.recent_collectives(), Each("all_reduce"));
  EXPECT_EQ(stall.process(), "");
  EXPECT_FALSE(stall.stacks_told());
  EXPECT_TRUE(is_alive(rank_pid())) << "what follows is the server's to decide";
}

TEST_F(DaemonHangsTest, RankThatGoesOnIsToldTooAndAReconnectRepeatsWhatIsStalled) {
  start_daemon();
  const std::filesystem::path go = folder_ / "go";
  launch_hanging("wait_file " + go.string() + "\nbatches 5\nwait_term\nexit 0\n");
  EXPECT_TRUE(wait_stall(0).stalled());
  coordinator_.drop_session();
  EXPECT_TRUE(wait_stall(1).stalled());
  std::ofstream(go) << "";
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return !r.stalls.back().stalled(); }));
  EXPECT_EQ(coordinator_.received().stalls.back().collectives_begun(), 25);
}

TEST_F(DaemonHangsTest, StacksThatTheRankWritesAreInItsLog) {
  start_daemon();
  launch_hanging("wait_term\nexit 0\n", "stacks\n");
  wait_stall();
  ask_for_stacks();
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return r.stalls.back().stacks_told(); }));
  EXPECT_TRUE(coordinator_.received().stalls.back().stalled());
  wait_err("the stacks\n");
}

TEST_F(DaemonHangsTest, OfARankThatCannotWriteThemTheLogSaysWhy) {
  start_daemon();
  launch_hanging("wait_term\nexit 0\n", "stacks\n");
  wait_stall();
  ASSERT_EQ(kill(rank_pid(), SIGSTOP), 0);
  ASSERT_TRUE(eventually([&] {
    return slurp("/proc/" + std::to_string(rank_pid()) + "/stat").find(") T ") != std::string::npos;
  }));
  ask_for_stacks();
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return r.stalls.back().stacks_told(); }));
  EXPECT_EQ(coordinator_.received().stalls.back().process(), "stopped (SIGSTOP)");
  wait_err("lctl-worker: there are no stacks of rank 0: its process is stopped (SIGSTOP); ");
  EXPECT_THAT(received().err, ContainsRegex("test_trainer [0-9]+ T"));
  // And it is got rid of.
  stop(100);
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_EQ(last_report().exit_code(), 137);
}

TEST_F(DaemonHangsTest, ProgramWithoutAPulseIsLeftAloneAndSaysSoWhenAsked) {
  start_daemon();
  v1::Launch launch = make_launch("print up\nwait_term\nexit 0\n");
  launch.mutable_spec()->set_hang_after_ms(1);
  DaemonTest::launch(launch);
  wait_out("up");
  ask_for_stacks();
  const v1::RankStalled told = wait_stall();
  EXPECT_FALSE(told.stalled());
  EXPECT_EQ(told.phase(), "");
  EXPECT_TRUE(told.stacks_told());
  wait_err("its program does not write them");
}

TEST_F(DaemonHangsTest, DaemonThatWasRestartedWatchesOn) {
  start_daemon();
  const std::filesystem::path go = folder_ / "go";
  launch_hanging("print up\nwait_file " + go.string() + "\nbatches 5\nwait_term\nexit 0\n");
  wait_out("up");
  kill_daemon();
  start_daemon();
  const v1::RankStalled stall = wait_stall();
  EXPECT_TRUE(stall.stalled());
  EXPECT_EQ(stall.step(), 20);
}

}  // namespace
}  // namespace lctl::agent
