// The daemon ends, cleanly or not, while ranks run; the next one goes on where it was.
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <numeric>

#include "gmock/gmock.h"
#include "worker/agent/testing/daemon_test.h"

namespace lctl::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DaemonRestartTest : public DaemonTest {
 protected:
  // Every step once and in order, in the events and in the output, whatever happened on the way.
  void expect_each_step_once() {
    const Received::Rank rank = received();
    const std::vector<long> steps = steps_of(rank);
    std::vector<long> expected(steps.size());
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(steps, expected);
    EXPECT_EQ(rank.out, step_lines(static_cast<long>(steps.size())));
  }
  void wait_steps(std::size_t at_least) {
    ASSERT_TRUE(coordinator_.wait([&](const Received& received) {
      const auto found = received.ranks.find({kJob, 1, 0});
      return found != received.ranks.end() && steps_of(found->second).size() >= at_least;
    }));
  }
  void wait_registrations(std::size_t count) {
    ASSERT_TRUE(coordinator_.wait(
        [&](const Received& received) { return received.registrations.size() >= count; }));
  }
};

TEST_F(DaemonRestartTest, KilledInMidStreamNothingIsLostOrDoubled) {
  start_daemon();
  launch("endless\nexit 0\n");
  wait_steps(20);
  const pid_t rank = rank_pid();
  for (std::size_t i = 1; i <= 8; ++i) {
    kill_daemon();
    EXPECT_TRUE(is_alive(rank));
    start_daemon();
    wait_registrations(i + 1);
    wait_steps(steps_of(received()).size() + 10);
  }
  EXPECT_EQ(rank_pid(), rank);
  stop(60'000);
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_EQ(last_report().exit_code(), 0);
  expect_each_step_once();
}

TEST_F(DaemonRestartTest, TerminatedDaemonLeavesItsRanksAlone) {
  start_daemon();
  launch("endless\nexit 0\n");
  wait_steps(5);
  const pid_t rank = rank_pid();
  EXPECT_EQ(terminate_daemon(), 0);
  EXPECT_TRUE(is_alive(rank));
  start_daemon();
  wait_registrations(2);
  const auto registered = coordinator_.received().registrations.back();
  ASSERT_THAT(registered.ranks(), SizeIs(1));
  EXPECT_EQ(registered.ranks(0).state(), v1::RANK_STATE_RUNNING);
  EXPECT_EQ(registered.ranks(0).pid(), rank);
  stop(60'000);
  wait_state(v1::RANK_STATE_DRAINED);
  expect_each_step_once();
}

TEST_F(DaemonRestartTest, RankThatEndedMeanwhileIsReportedWithItsExitCode) {
  start_daemon();
  const std::filesystem::path go = folder_ / "go";
  launch("metrics 0 10\nwait_file " + go.string() +
         "\nmetrics 10 20\ncheckpoint late.ckpt 50\ncomplain too bad\nexit 3\n");
  wait_steps(10);
  const pid_t keeper = keeper_pid();
  kill_daemon();
  std::ofstream(go) << "";
  ASSERT_TRUE(eventually([&] { return !is_alive(keeper); }));
  start_daemon();
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_EQ(last_report().exit_code(), 3);
  EXPECT_EQ(last_report().message(), "too bad");
  expect_each_step_once();
  EXPECT_THAT(steps_of(received()), SizeIs(20));
  EXPECT_THAT(coordinator_.received().checkpoints, SizeIs(1));
}

TEST_F(DaemonRestartTest, CheckpointsWhoseEventWasAcknowledgedAreStillUploaded) {
  coordinator_.fail_commits(14 /* UNAVAILABLE */, 1'000'000);
  start_daemon();
  launch("checkpoint a.ckpt 5000\ncheckpoint b.ckpt 6000\nflush\nprint written\nwait_term\n");
  wait_out("written");
  ASSERT_TRUE(coordinator_.wait(
      [](const Received& r) { return r.ranks.at({kJob, 1, 0}).events.size() == 2; }));
  const std::filesystem::path offsets = run_folder() / "rank-0/offsets";
  ASSERT_TRUE(eventually([&] {
    return slurp(offsets).find("events 8 ") == std::string::npos && !slurp(offsets).empty();
  }));
  EXPECT_THAT(coordinator_.received().checkpoints, IsEmpty());
  kill_daemon();
  coordinator_.fail_commits(0, 0);
  start_daemon();
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return r.checkpoints.size() == 2; }));
  const auto stored = coordinator_.received().checkpoints;
  EXPECT_EQ(stored[0].commit.written().file(), "a.ckpt");
  EXPECT_EQ(stored[1].commit.written().file(), "b.ckpt");
  EXPECT_EQ(stored[1].content.size(), 6000u);
  wait_registrations(2);
  stop(60'000);
  wait_state(v1::RANK_STATE_DRAINED);
}

TEST_F(DaemonRestartTest, RendezvousPortIsRememberedForARepeatedLaunch) {
  start_daemon();
  const std::string script = "print up\nwait_term\n";
  launch(script);
  wait_out("up");
  kill_daemon();
  start_daemon();
  wait_registrations(2);
  launch(script);
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return r.rendezvous.size() == 2; }));
  EXPECT_EQ(coordinator_.received().rendezvous[0].port(),
            coordinator_.received().rendezvous[1].port());
}

// A folder as an earlier daemon left it: rank 0 with these files.
class LeftFolderTest : public DaemonRestartTest {
 protected:
  void leave_folder(const std::string& boot_id, const std::string& process) {
    const std::filesystem::path rank = run_folder() / "rank-0";
    std::filesystem::create_directories(rank / "stage");
    std::filesystem::create_directories(run_folder() / "work");
    std::ofstream(run_folder() / "boot_id") << boot_id;
    std::ofstream(run_folder() / "launch.pb", std::ios::binary)
        << make_launch("exit 0\n").SerializeAsString();
    std::ofstream(rank / "stdout") << "before\n";
    if (!process.empty()) std::ofstream(rank / "process") << process;
  }
  static std::string this_boot() {
    std::string id = slurp("/proc/sys/kernel/random/boot_id");
    id.pop_back();
    return id;
  }
};

TEST_F(LeftFolderTest, RanksOfAnEarlierBootAreLostWithIt) {
  // The pids of this test itself: alive, but of another boot.
  leave_folder("00000000-0000-0000-0000-000000000000",
               std::to_string(getpid()) + " 1 " + std::to_string(getpid()) + " 1\n");
  start_daemon();
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_THAT(last_report().message(), HasSubstr("reboot"));
  EXPECT_TRUE(last_report().lost_with_reboot());
  EXPECT_EQ(last_report().exit_code(), 128 + SIGKILL);
  EXPECT_EQ(received().out, "before\n");
}

TEST_F(LeftFolderTest, RecycledPidIsNotTakenForTheRank) {
  leave_folder(this_boot(), std::to_string(getpid()) + " 1 " + std::to_string(getpid()) + " 1\n");
  start_daemon();
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_THAT(last_report().message(), HasSubstr("keeper was killed"));
  EXPECT_FALSE(last_report().lost_with_reboot());
}

TEST_F(LeftFolderTest, RankThatWasNeverStartedNeverWillBe) {
  leave_folder(this_boot(), "");
  start_daemon();
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_THAT(last_report().message(), HasSubstr("before it was started"));
  // Its keeper, should it come late, finds the place taken.
  EXPECT_EQ(slurp(run_folder() / "rank-0/process"), "none\n");
}

TEST_F(LeftFolderTest, HalfMadeFolderIsRemoved) {
  leave_folder(this_boot(), "");
  std::filesystem::remove(run_folder() / "launch.pb");
  start_daemon();
  ASSERT_TRUE(eventually([&] { return !std::filesystem::exists(run_folder()); }));
  wait_registrations(1);
  EXPECT_THAT(coordinator_.received().registrations[0].ranks(), IsEmpty());
}

TEST_F(DaemonRestartTest, SecondDaemonOnTheSameFolderIsRefused) {
  start_daemon();
  wait_registrations(1);
  const pid_t first = daemon_;
  start_daemon();
  ASSERT_TRUE(eventually([&] { return daemon_has_ended(); }));
  daemon_ = first;
  EXPECT_THAT(daemon_log(),
              HasSubstr("another lctl-worker (pid " + std::to_string(first) + ") uses"));
  EXPECT_TRUE(is_alive(first));
}

}  // namespace
}  // namespace lctl::agent
