// A node that hears nothing of the server: its ranks end when the lease has run out, and not
// before.
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "gmock/gmock.h"
#include "worker/agent/testing/daemon_test.h"

namespace lctl::agent {
namespace {

using std::chrono::milliseconds;
using ::testing::SizeIs;

class DaemonLeaseTest : public DaemonTest {
 protected:
  // Long enough for a busy machine to renew it in time.
  static constexpr milliseconds kLength{2'000};

  // One rank that writes a checkpoint when it is asked to end, under that lease.
  void start_rank() {
    coordinator_.grant_lease(kLength);
    start_daemon();
    v1::Launch order = make_launch("print up\nready\non_term_finish 75\n");
    order.mutable_spec()->set_grace_ms(60'000);
    launch(order);
    wait_state(v1::RANK_STATE_RUNNING);  // its output may be here sooner
    wait_out("up");
  }
  // The rank's process is gone, and its exit file says why.
  void expect_ended_by_lease() {
    ASSERT_TRUE(eventually([&] { return !slurp(exit_file()).empty(); }));
    EXPECT_EQ(slurp(exit_file()), "exit 75 lease 2000\n");
  }
  void expect_reported() {
    wait_state(v1::RANK_STATE_DRAINED);
    EXPECT_EQ(last_report().exit_code(), 75);
    EXPECT_TRUE(last_report().lease_ran_out());
    EXPECT_EQ(last_report().message(), "lease ran out: node has not heard from the server for 2 s");
    EXPECT_THAT(coordinator_.received().checkpoints, SizeIs(1)) << "its stop checkpoint";
  }
  // So long that the lease would have run out without renewals.
  static void outlast_the_lease() { usleep(static_cast<useconds_t>(3 * kLength.count() * 1000)); }
  std::filesystem::path exit_file() const { return run_folder() / "rank-0/exit"; }
};

TEST_F(DaemonLeaseTest, AnsweredHeartbeatsKeepRanksRunning) {
  start_rank();
  const pid_t rank = rank_pid();
  outlast_the_lease();
  EXPECT_TRUE(is_alive(rank));
  stop(60'000);
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_EQ(last_report().exit_code(), 75);
  EXPECT_FALSE(last_report().lease_ran_out());
}

TEST_F(DaemonLeaseTest, SessionThatSaysNothingEndsThem) {
  start_rank();
  coordinator_.ignore_heartbeats(true);
  expect_ended_by_lease();
  expect_reported();
}

TEST_F(DaemonLeaseTest, DaemonThatStandsStillDoesNotHelpThem) {
  start_rank();
  kill(daemon_, SIGSTOP);
  expect_ended_by_lease();
  kill(daemon_, SIGCONT);
  expect_reported();
}

TEST_F(DaemonLeaseTest, DaemonThatIsAwayForTooLongFindsThemEnded) {
  start_rank();
  kill_daemon();
  expect_ended_by_lease();
  start_daemon();
  expect_reported();
}

TEST_F(DaemonLeaseTest, ServerThatDoesNotRunEndsNobody) {
  start_rank();
  const pid_t rank = rank_pid();
  coordinator_.shut_down();
  outlast_the_lease();
  EXPECT_TRUE(is_alive(rank));
  // Nor does a daemon that is restarted meanwhile and has never spoken to a server.
  kill_daemon();
  start_daemon();
  outlast_the_lease();
  EXPECT_TRUE(is_alive(rank));
  coordinator_.start_again();
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return r.registrations.size() == 2; }));
  stop(60'000);
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_FALSE(last_report().lease_ran_out());
}

TEST_F(DaemonLeaseTest, ServerWithoutLeasesSetsNoBound) {
  coordinator_.grant_lease(milliseconds(0));
  start_daemon();
  launch("print up\non_term_finish 75\n");
  wait_out("up");
  const pid_t rank = rank_pid();
  coordinator_.ignore_heartbeats(true);
  outlast_the_lease();
  EXPECT_TRUE(is_alive(rank));
  stop(60'000);
  wait_state(v1::RANK_STATE_EXITED);
}

}  // namespace
}  // namespace lctl::agent
