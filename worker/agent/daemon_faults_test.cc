// What goes wrong around the daemon: the coordinator, the network, keepers, disks, files.
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "base/clock.h"
#include "gmock/gmock.h"
#include "worker/agent/testing/daemon_test.h"

namespace lctl::agent {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DaemonFaultsTest : public DaemonTest {
 protected:
  void expect_steps(long count) {
    const Received::Rank rank = received();
    std::vector<long> expected(static_cast<std::size_t>(count));
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(steps_of(rank), expected);
    EXPECT_EQ(rank.out, step_lines(count));
  }
  v1::LaunchFailed wait_failed_launch() {
    EXPECT_TRUE(coordinator_.wait([](const Received& r) { return !r.failed_launches.empty(); }));
    const auto failed = coordinator_.received().failed_launches;
    return failed.empty() ? v1::LaunchFailed() : failed[0];
  }
};

TEST_F(DaemonFaultsTest, ServerAwayForAWhileChangesNothing) {
  start_daemon();
  const std::filesystem::path go = folder_ / "go";
  launch("metrics 0 100\nflush\nprint first\nwait_file " + go.string() +
         "\nmetrics 100 300\ncheckpoint a.ckpt 100\nexit 0\n");
  ASSERT_TRUE(coordinator_.wait([](const Received& r) {
    return r.ranks.count({kJob, 1, 0}) > 0 && steps_of(r.ranks.at({kJob, 1, 0})).size() == 100;
  }));
  const pid_t keeper = keeper_pid();
  coordinator_.shut_down();
  std::ofstream(go) << "";
  ASSERT_TRUE(eventually([&] { return !is_alive(keeper); }));
  coordinator_.start_again();
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_EQ(last_report().exit_code(), 0);
  EXPECT_THAT(steps_of(received()), SizeIs(300));
  EXPECT_THAT(coordinator_.received().checkpoints, SizeIs(1));
  // It said again who it is, and what had become of its rank.
  const auto registrations = coordinator_.received().registrations;
  ASSERT_GE(registrations.size(), 2u);
  ASSERT_THAT(registrations.back().ranks(), SizeIs(1));
  EXPECT_GE(registrations.back().ranks(0).state(), v1::RANK_STATE_EXITED);
}

TEST_F(DaemonFaultsTest, ServerThatComesLateIsFoundSoon) {
  coordinator_.shut_down();
  start_daemon();
  ASSERT_TRUE(eventually([&] { return daemon_log().find("no connection") != std::string::npos; }));
  // A first try was refused; the second is under way or about to be.
  const MonotonicTime begun = system_clock().monotonic_now();
  coordinator_.start_again();
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return r.registrations.size() == 1; }));
  EXPECT_LT(system_clock().monotonic_now() - begun, std::chrono::seconds(4));
}

TEST_F(DaemonFaultsTest, BrokenStreamsAreOpenedAgain) {
  start_daemon();
  launch("endless\nexit 0\n");
  for (std::size_t i = 1; i <= 5; ++i) {
    ASSERT_TRUE(coordinator_.wait([&](const Received& r) {
      return r.registrations.size() >= i && r.ranks.count({kJob, 1, 0}) > 0 &&
             steps_of(r.ranks.at({kJob, 1, 0})).size() > 20 * i;
    }));
    coordinator_.drop_ingest();
    coordinator_.drop_session();
  }
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return r.registrations.size() >= 6; }));
  stop(60'000);
  wait_state(v1::RANK_STATE_DRAINED);
  expect_steps(static_cast<long>(steps_of(received()).size()));
}

TEST_F(DaemonFaultsTest, LostAcknowledgementsLeadToRepetitionNotToDoubles) {
  coordinator_.withhold_acks(true);
  start_daemon();
  launch("metrics 0 200\nexit 0\n");
  ASSERT_TRUE(coordinator_.wait([](const Received& r) {
    return r.ranks.count({kJob, 1, 0}) > 0 && steps_of(r.ranks.at({kJob, 1, 0})).size() == 200;
  }));
  EXPECT_NE(received().state(), v1::RANK_STATE_DRAINED);
  coordinator_.withhold_acks(false);
  coordinator_.drop_ingest();
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_GT(coordinator_.received().repeated_batches, 0);
  expect_steps(200);
}

TEST_F(DaemonFaultsTest, StoreThatCannotWriteIsTriedAgain) {
  coordinator_.answer_batches(v1::IngestAck::RESULT_RETRY, 4);
  start_daemon();
  launch("metrics 0 200\nexit 0\n");
  wait_state(v1::RANK_STATE_DRAINED);
  expect_steps(200);
  EXPECT_THAT(daemon_log(), HasSubstr("cannot store now: as the test asked"));
}

TEST_F(DaemonFaultsTest, ServerThatLacksSomethingGetsItAgain) {
  start_daemon();
  const std::filesystem::path go = folder_ / "go";
  launch("metrics 0 100\nflush\nprint half\nwait_file " + go.string() + "\nprint more\nexit 0\n");
  wait_out("half");
  coordinator_.forget_text_beyond({kJob, 1, 0}, v1::STREAM_KIND_STDOUT,
                                  50);  // as after a restored backup
  std::ofstream(go) << "";
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_EQ(received().out, step_lines(100) + "half\nmore\n");
}

TEST_F(DaemonFaultsTest, FencedAttemptIsStoppedAndDropped) {
  start_daemon();
  const std::filesystem::path go = folder_ / "go";
  launch("print up\nwait_file " + go.string() + "\nendless\n");
  wait_out("up");
  const pid_t rank = rank_pid();
  coordinator_.answer_batches(v1::IngestAck::RESULT_FENCED, 1'000'000);
  std::ofstream(go) << "";
  EXPECT_TRUE(
      eventually([&] { return !is_alive(rank) && !std::filesystem::exists(run_folder()); }));
}

TEST_F(DaemonFaultsTest, BatchThatTheServerCannotReadIsPassedOver) {
  coordinator_.answer_batches(v1::IngestAck::RESULT_INVALID, 1);
  start_daemon();
  launch("metrics 0 10\nexit 0\n");
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_THAT(daemon_log(), HasSubstr("cannot read a batch of"));
}

TEST_F(DaemonFaultsTest, RefusedNodeKeepsAsking) {
  coordinator_.refuse_registrations("the name n1 is taken");
  start_daemon();
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return r.registrations.size() >= 2; }));
  EXPECT_THAT(daemon_log(), HasSubstr("the server refused this node: the name n1 is taken"));
  coordinator_.refuse_registrations("");
  EXPECT_TRUE(coordinator_.wait([](const Received& r) { return r.heartbeats > 0; }));
}

TEST_F(DaemonFaultsTest, KilledKeeperTakesItsRankAlong) {
  start_daemon();
  launch("metrics 0 10\nflush\nprint up\nwait_term\n");
  wait_out("up");
  const pid_t rank = rank_pid();
  kill(keeper_pid(), SIGKILL);
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_FALSE(is_alive(rank));
  EXPECT_EQ(last_report().exit_code(), 128 + SIGKILL);
  EXPECT_THAT(last_report().message(), HasSubstr("keeper was killed"));
  EXPECT_THAT(steps_of(received()), SizeIs(10));
}

TEST_F(DaemonFaultsTest, DamagedSpoolEndsItsForwardingAndIsToldInTheLog) {
  start_daemon();
  launch("metrics 0 10\ndamage\nprint after\nexit 0\n");
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_THAT(steps_of(received()), SizeIs(10));
  EXPECT_THAT(received().out, HasSubstr("after\n"));
  EXPECT_THAT(received().err,
              AllOf(HasSubstr("lctl-worker: the spool "), HasSubstr("is damaged at byte "),
                    HasSubstr("is not in the store")));
}

TEST_F(DaemonFaultsTest, UploadIsTriedAgainUntilTheStoreTakesIt) {
  coordinator_.fail_commits(14 /* UNAVAILABLE */, 2);
  coordinator_.fail_chunks(8 /* RESOURCE_EXHAUSTED */, 1);
  start_daemon();
  launch("checkpoint big.ckpt 9000000\nexit 0\n");
  wait_state(v1::RANK_STATE_DRAINED);
  const auto stored = coordinator_.received().checkpoints;
  ASSERT_THAT(stored, SizeIs(1));
  EXPECT_EQ(stored[0].content.size(), 9'000'000u);
  EXPECT_THAT(stored[0].commit.chunks(), SizeIs(3));
}

TEST_F(DaemonFaultsTest, CheckpointThatTheStoreRefusesIsGivenUpAndTold) {
  coordinator_.fail_commits(3 /* INVALID_ARGUMENT */, 1);
  start_daemon();
  const std::filesystem::path go = folder_ / "go";
  launch("checkpoint bad.ckpt 100\ncheckpoint good.ckpt 100\nflush\nwait_file " + go.string() +
         "\nexit 0\n");
  ASSERT_TRUE(coordinator_.wait([](const Received& r) {
    return r.ranks.count({kJob, 1, 0}) > 0 &&
           r.ranks.at({kJob, 1, 0}).err.find("the checkpoint bad.ckpt is not in the store") !=
               std::string::npos;
  }));
  std::ofstream(go) << "";
  wait_state(v1::RANK_STATE_DRAINED);
  ASSERT_THAT(coordinator_.received().checkpoints, SizeIs(1));
  EXPECT_EQ(coordinator_.received().checkpoints[0].commit.written().file(), "good.ckpt");
}

TEST_F(DaemonFaultsTest, CheckpointNameCannotLeaveTheStageFolder) {
  start_daemon();
  std::ofstream(folder_ / "secret") << "secret";
  launch("checkpoint ../../../../../secret 6\nexit 0\n");
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_THAT(coordinator_.received().checkpoints, IsEmpty());
  EXPECT_THAT(daemon_log(), HasSubstr("impossible file name"));
}

TEST_F(DaemonFaultsTest, MissingTrainerIsSaidAndFinal) {
  start_daemon({"--trainer", "/nowhere/lctl-trainer"});
  launch("exit 0\n");
  const v1::LaunchFailed failed = wait_failed_launch();
  EXPECT_TRUE(failed.permanent());
  EXPECT_THAT(failed.reason(),
              AllOf(HasSubstr("/nowhere/lctl-trainer"), HasSubstr("is it installed?")));
  EXPECT_FALSE(std::filesystem::exists(run_folder()));
}

TEST_F(DaemonFaultsTest, LaunchThatMakesNoSenseIsRefused) {
  start_daemon();
  v1::Launch bad = make_launch("exit 0\n");
  bad.set_job_id("../../outside");
  launch(bad);
  EXPECT_THAT(wait_failed_launch().reason(), HasSubstr("impossible job id"));
  EXPECT_FALSE(std::filesystem::exists(data_dir() / "runs"));
}

TEST_F(DaemonFaultsTest, DamagedDownloadFailsTheLaunch) {
  coordinator_.put_checkpoint("ckpt", "content");
  coordinator_.corrupt_downloads();
  start_daemon();
  v1::Launch resumed = make_launch("show_resume\n");
  resumed.set_resume_checkpoint_id("ckpt");
  launch(resumed);
  const v1::LaunchFailed failed = wait_failed_launch();
  EXPECT_THAT(failed.reason(), HasSubstr("arrived damaged"));
  EXPECT_FALSE(failed.permanent());
  EXPECT_EQ(failed.corrupt_checkpoint_id(), "ckpt");
}

TEST_F(DaemonFaultsTest, CheckpointThatTheStoreLacksIsNotTheNodesFault) {
  start_daemon();
  v1::Launch resumed = make_launch("show_resume\n");
  resumed.set_resume_checkpoint_id("gone");
  launch(resumed);
  const v1::LaunchFailed failed = wait_failed_launch();
  EXPECT_THAT(failed.reason(), HasSubstr("no such checkpoint"));
  EXPECT_FALSE(failed.permanent());
  EXPECT_EQ(failed.corrupt_checkpoint_id(), "");
}

TEST_F(DaemonFaultsTest, CheckpointLargerThanTheDiskIsNotEvenBegun) {
  coordinator_.put_checkpoint("ckpt", "content");
  start_daemon();
  v1::Launch resumed = make_launch("show_resume\n");
  resumed.set_resume_checkpoint_id("ckpt");
  resumed.set_resume_checkpoint_size(std::int64_t{1} << 60);
  launch(resumed);
  EXPECT_THAT(wait_failed_launch().reason(),
              AllOf(HasSubstr("has room for"), HasSubstr("free some space")));
}

constexpr int kWriteFailed = 99;  // exit code of test_trainer

// How the data folder comes to have one megabyte.
enum class Smallness {
  kDisk,      // a file system of its own: the real thing, for those who may mount one
  kFileSize,  // a limit on the size of each file: for everybody
};

// Whether this process may mount; tried once.
std::vector<Smallness> smallnesses_possible_here() {
  std::vector<Smallness> possible = {Smallness::kFileSize};
  std::string folder = testing::TempDir() + "/may_mount_XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return possible;
  if (mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=1m") == 0) {
    umount2(folder.c_str(), MNT_DETACH);
    possible.push_back(Smallness::kDisk);
  }
  std::filesystem::remove(folder);
  return possible;
}

class SmallDiskTest : public DaemonFaultsTest, public testing::WithParamInterface<Smallness> {
 protected:
  SmallDiskTest() {
    // The daemon inherits it: its writes beyond the limit get an error, as on a full disk.
    signal(SIGXFSZ, SIG_IGN);
    if (GetParam() == Smallness::kDisk) {
      EXPECT_EQ(mount("tmpfs", data_dir_.c_str(), "tmpfs", 0, "size=1m"), 0) << strerror(errno);
    }
  }
  ~SmallDiskTest() override {
    if (GetParam() == Smallness::kDisk) umount2(data_dir_.c_str(), MNT_DETACH);
  }

  void start_daemon_with_a_megabyte() {
    start_daemon();
    ASSERT_TRUE(coordinator_.wait([](const Received& r) { return r.heartbeats > 0; }));
    if (GetParam() == Smallness::kFileSize) limit_files(1 << 20);
  }
  void fill_disk() {
    if (GetParam() == Smallness::kFileSize) return limit_files(0);
    const std::string page(4096, 'x');
    std::ofstream out(data_dir_ / "filler", std::ios::binary | std::ios::app);
    while (out.write(page.data(), static_cast<std::streamsize>(page.size())).flush()) {
    }
  }
  void free_disk() {
    if (GetParam() == Smallness::kFileSize) return limit_files(1 << 20);
    std::filesystem::remove(data_dir_ / "filler");
  }
  // Of the daemon that runs, and of the ranks that it will start.
  void limit_files(rlim_t bytes) {
    const rlimit limit{bytes, RLIM_INFINITY};
    ASSERT_EQ(prlimit(daemon_, RLIMIT_FSIZE, &limit, nullptr), 0) << strerror(errno);
  }
  static std::string full() { return strerror(GetParam() == Smallness::kDisk ? ENOSPC : EFBIG); }
};

INSTANTIATE_TEST_SUITE_P(, SmallDiskTest, testing::ValuesIn(smallnesses_possible_here()),
                         [](const auto& info) {
                           return info.param == Smallness::kDisk ? "Disk" : "FileSize";
                         });

TEST_P(SmallDiskTest, FullDiskFailsTheLaunchAndNotTheNode) {
  start_daemon_with_a_megabyte();
  fill_disk();
  launch("print never\n");
  const v1::LaunchFailed failed = wait_failed_launch();
  EXPECT_THAT(failed.reason(), HasSubstr(full()));
  EXPECT_FALSE(failed.permanent());
  EXPECT_FALSE(std::filesystem::exists(run_folder()));

  free_disk();
  launch(make_launch("print works again\n", 1, 2));
  wait_state(v1::RANK_STATE_DRAINED, 0, 2);
  EXPECT_EQ(received(0, 2).out, "works again\n");
}

TEST_P(SmallDiskTest, RankThatFillsTheDiskFailsAloneAndItsExitIsKnown) {
  start_daemon_with_a_megabyte();
  launch("checkpoint huge.ckpt 5000000\nexit 0\n");
  wait_state(v1::RANK_STATE_DRAINED);
  // Ranks start with all signals as usual, so that the limit's own ends this one.
  EXPECT_EQ(last_report().exit_code(),
            GetParam() == Smallness::kDisk ? kWriteFailed : 128 + SIGXFSZ);
  // A disk is full of its half-written file: the next attempt says so, and the node lives.
  forget();
  ASSERT_TRUE(eventually([&] { return !std::filesystem::exists(run_folder()); }));
  launch(make_launch("print fine\n", 1, 2));
  wait_state(v1::RANK_STATE_DRAINED, 0, 2);
  EXPECT_EQ(received(0, 2).out, "fine\n");
}

}  // namespace
}  // namespace lctl::agent
