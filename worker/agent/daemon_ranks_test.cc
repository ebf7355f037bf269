// What the daemon does for ranks: starts them, brings what they write to the coordinator, stops
// them.
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <numeric>

#include "base/clock.h"
#include "gmock/gmock.h"
#include "http/testing/fetch.h"
#include "worker/agent/testing/daemon_test.h"

namespace lctl::agent {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class DaemonRanksTest : public DaemonTest {};

TEST_F(DaemonRanksTest, RegistersAndKeepsItsIdentity) {
  start_daemon();
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return r.heartbeats >= 3; }));
  terminate_daemon();
  start_daemon();
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return r.registrations.size() >= 2; }));
  const auto registrations = coordinator_.received().registrations;
  EXPECT_EQ(registrations.front().node_id(), registrations.back().node_id());
  EXPECT_THAT(registrations.front().node_id(), SizeIs(16));
  EXPECT_EQ(registrations.front().name(), "n1");
  EXPECT_EQ(registrations.front().address(), "127.0.0.1");
  EXPECT_EQ(
      std::count_if(registrations.front().devices().begin(), registrations.front().devices().end(),
                    [](const v1::Device& device) { return device.kind() == "cpu"; }),
      4);
  EXPECT_GT(registrations.front().cpus(), 0);
  EXPECT_GT(registrations.front().memory_bytes(), 1 << 20);
  EXPECT_THAT(registrations.front().boot_id(), SizeIs(36));
}

TEST_F(DaemonRanksTest, MetricsTellWhatRunsAndWhatHasArrived) {
  start_daemon({"--metrics", "127.0.0.1:0"});
  launch("ready\nmetrics 0 10\nwait_term\nexit 0\n");
  wait_out(step_lines(10));
  const std::string log = daemon_log();
  const std::size_t begin = log.find("http on ") + 8;
  const std::string address = log.substr(begin, log.find('\n', begin) - begin);
  std::string page;
  EXPECT_TRUE(eventually([&] {
    page = http::fetch(address, "/metrics");
    return page.find("lctl_worker_spool_waiting_bytes 0\n") != std::string::npos;
  }));
  EXPECT_THAT(page, HasSubstr("lctl_worker_ranks{state=\"running\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_worker_devices{kind=\"cpu\"} 4\n"));
  EXPECT_THAT(page, HasSubstr("lctl_worker_connected 1\n"));
  EXPECT_THAT(page, HasSubstr("lctl_worker_registrations_total 1\n"));
  EXPECT_THAT(page, Not(HasSubstr("lctl_worker_forwarded_bytes_total 0\n")));
  stop(1'000);
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_EQ(terminate_daemon(), 0);
}

TEST_F(DaemonRanksTest, WhatTheNodeMeasuredMeanwhileArrivesOnceAcrossARestart) {
  start_daemon({"--measure-every", "0.01"});
  launch("ready\nwait_term\nexit 0\n", /*ranks=*/2);
  const auto arrived = [](std::size_t count) {
    return [count](const Received& r) {
      const auto rank = r.ranks.find({kJob, 1, 0});
      return rank != r.ranks.end() && rank->second.measured.size() >= count;
    };
  };
  ASSERT_TRUE(coordinator_.wait(arrived(3)));
  kill_daemon();
  const std::size_t before = received().measured.size();
  start_daemon({"--measure-every", "0.01"});
  ASSERT_TRUE(coordinator_.wait(arrived(before + 3)));
  stop(1'000);
  wait_state(v1::RANK_STATE_DRAINED);
  const Received::Rank rank = received();
  std::int64_t last = 0;
  for (const v1::Event& event : rank.measured) {
    EXPECT_GT(event.time_us(), last);
    last = event.time_us();
    EXPECT_THAT(event.metrics().keys(), Contains("system/n1/system_memory_usage_megabytes"));
  }
  EXPECT_THAT(rank.measured.front().metrics().keys(),
              Contains("system/n1/rank_1_memory_megabytes"));
  EXPECT_THAT(received(1).measured, SizeIs(0)) << "one stream a node";
  EXPECT_EQ(terminate_daemon(), 0);
}

TEST_F(DaemonRanksTest, RankRunsAndAllItWroteArrivesOnce) {
  start_daemon();
  launch(
      "ready\nmetrics 0 500\ncomplain careful\ncheckpoint a.ckpt 100000\nmetrics 500 1000\nexit "
      "0\n");
  wait_state(v1::RANK_STATE_DRAINED);
  const Received::Rank rank = received();
  ASSERT_THAT(rank.events, SizeIs(1002));
  EXPECT_EQ(rank.events.front().ready().pid(), rank.reports.front().pid());
  std::vector<long> expected(1000);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(steps_of(rank), expected);
  EXPECT_EQ(rank.out, step_lines(1000));
  EXPECT_EQ(rank.err, "careful\n");
  std::vector<v1::RankState> states;
  for (const auto& report : rank.reports) states.push_back(report.state());
  EXPECT_THAT(states,
              ElementsAre(v1::RANK_STATE_RUNNING, v1::RANK_STATE_EXITED, v1::RANK_STATE_DRAINED));
  EXPECT_EQ(rank.reports.back().exit_code(), 0);

  const auto checkpoints = coordinator_.received().checkpoints;
  ASSERT_THAT(checkpoints, SizeIs(1));
  EXPECT_EQ(checkpoints[0].commit.written().file(), "a.ckpt");
  EXPECT_EQ(checkpoints[0].content.size(), 100'000u);
  EXPECT_TRUE(std::filesystem::is_empty(run_folder() / "rank-0/stage"));

  forget();
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(run_folder()); }));
}

TEST_F(DaemonRanksTest, RanksOfANodeGetTheirOwnEnvironment) {
  start_daemon();
  launch(
      "variables RANK LOCAL_RANK WORLD_SIZE LOCAL_WORLD_SIZE GROUP_RANK MASTER_ADDR MASTER_PORT "
      "LCTL_JOB_ID "
      "LCTL_ATTEMPT LCTL_JOB_NAME LCTL_DEVICE LCTL_RENDEZVOUS_FD NOTIFY_SOCKET\n",
      2);
  wait_state(v1::RANK_STATE_DRAINED, 0);
  wait_state(v1::RANK_STATE_DRAINED, 1);
  const auto rendezvous = coordinator_.received().rendezvous;
  ASSERT_THAT(rendezvous, Not(IsEmpty()));
  const std::string port = std::to_string(rendezvous[0].port());
  EXPECT_EQ(
      received(1).out,
      "RANK=1\nLOCAL_RANK=1\nWORLD_SIZE=2\nLOCAL_WORLD_SIZE=2\nGROUP_RANK=0\nMASTER_ADDR=127.0.0."
      "1\nMASTER_PORT=" +
          port +
          "\nLCTL_JOB_ID=abcdefghij\nLCTL_ATTEMPT=1\nLCTL_JOB_NAME=test-job\nLCTL_DEVICE=cpu\n"
          "LCTL_RENDEZVOUS_FD=<unset>\nNOTIFY_SOCKET=<unset>\n");
  EXPECT_THAT(received(0).out, Not(HasSubstr("LCTL_RENDEZVOUS_FD=<unset>")));
}

TEST_F(DaemonRanksTest, RankZeroInheritsTheListeningSocket) {
  start_daemon();
  launch("accept\n");
  wait_state(v1::RANK_STATE_DRAINED);
  const auto rendezvous = coordinator_.received().rendezvous;
  ASSERT_THAT(rendezvous, SizeIs(1));
  EXPECT_EQ(received().out, "listening=1 port=" + std::to_string(rendezvous[0].port()) + "\n");
}

// From the coordinator's sending to the first event of the program. About 10 ms, and what the
// program needs for its libraries; the bound leaves room for sanitizers on a busy machine.
TEST_F(DaemonRanksTest, LaunchIsAMatterOfMilliseconds) {
  start_daemon();
  std::vector<std::int64_t> took_us;
  for (int attempt = 1; attempt <= 11; ++attempt) {
    const std::int64_t sent_us = unix_micros(system_clock().wall_now());
    launch(make_launch("ready\n", 1, attempt));
    wait_state(v1::RANK_STATE_DRAINED, 0, attempt);
    const Received::Rank rank = received(0, attempt);
    ASSERT_THAT(rank.events, SizeIs(1));
    took_us.push_back(rank.events[0].time_us() - sent_us);
    forget(attempt);
  }
  std::sort(took_us.begin(), took_us.end());
  const std::int64_t median_us = took_us[took_us.size() / 2];
  RecordProperty("launch_median_us", std::to_string(median_us));
  EXPECT_LT(took_us.front(), 500'000);
}

TEST_F(DaemonRanksTest, WhatIsWrittenArrivesWhileTheRankRuns) {
  start_daemon();
  launch("metrics 0 3\nflush\nwait_term\n");
  wait_out("step 2\n");
  EXPECT_TRUE(coordinator_.wait([](const Received& r) {
    return steps_of(r.ranks.at({kJob, 1, 0})) == std::vector<long>{0, 1, 2};
  }));
  EXPECT_EQ(received().state(), v1::RANK_STATE_RUNNING);
}

TEST_F(DaemonRanksTest, FailureCarriesTheLastLineOfStderr) {
  start_daemon();
  launch("complain Traceback\ncomplain_bytes RuntimeError: shapes do not fit\nexit 1\n");
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_EQ(last_report().exit_code(), 1);
  EXPECT_EQ(last_report().message(), "RuntimeError: shapes do not fit ?");
}

TEST_F(DaemonRanksTest, DeathBySignalIsToldAndTheEventsBeforeItArrive) {
  start_daemon();
  launch("metrics 0 10\nkill 10\n");
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_EQ(last_report().exit_code(), 128 + 10);
  EXPECT_THAT(last_report().message(), HasSubstr("signal 10"));
  EXPECT_THAT(steps_of(received()), SizeIs(10));
}

TEST_F(DaemonRanksTest, StopLetsRanksWriteTheirCheckpoint) {
  start_daemon();
  launch("print up\non_term_finish 75\n", 2);
  wait_out("up", 0);
  wait_out("up", 1);
  stop(60'000);
  wait_state(v1::RANK_STATE_DRAINED, 0);
  wait_state(v1::RANK_STATE_DRAINED, 1);
  EXPECT_EQ(last_report(0).exit_code(), 75);
  const auto checkpoints = coordinator_.received().checkpoints;
  ASSERT_THAT(checkpoints, Not(IsEmpty()));
  EXPECT_EQ(checkpoints[0].commit.written().kind(), v1::CHECKPOINT_KIND_STOP);
  EXPECT_TRUE(received(0).events.back().has_finished());
}

TEST_F(DaemonRanksTest, RankThatIgnoresAStopIsKilledAfterTheGrace) {
  start_daemon();
  launch("ignore_term\nprint deaf\nwait_term\n");
  wait_out("deaf");
  stop(100);
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_EQ(last_report().exit_code(), 128 + SIGKILL);
}

TEST_F(DaemonRanksTest, StopWithoutGraceKillsAtOnce) {
  start_daemon();
  launch("print up\non_term_finish 75\n");
  wait_out("up");
  stop(0);
  wait_state(v1::RANK_STATE_DRAINED);
  EXPECT_EQ(last_report().exit_code(), 128 + SIGKILL);
}

TEST_F(DaemonRanksTest, ForgottenAttemptThatStillRunsIsKilled) {
  start_daemon();
  launch("print up\nwait_term\n");
  wait_out("up");
  const pid_t rank = rank_pid();
  forget();
  EXPECT_TRUE(
      eventually([&] { return !is_alive(rank) && !std::filesystem::exists(run_folder()); }));
}

TEST_F(DaemonRanksTest, RepeatedLaunchStartsNothingTwice) {
  start_daemon();
  launch("print up\nwait_term\n");
  wait_out("up");
  launch("print up\nwait_term\n");
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return r.rendezvous.size() == 2; }));
  EXPECT_EQ(coordinator_.received().rendezvous[0].port(),
            coordinator_.received().rendezvous[1].port());
  EXPECT_EQ(received().out, "up\n");
  for (const auto& report : received().reports) EXPECT_EQ(report.pid(), rank_pid());
}

TEST_F(DaemonRanksTest, ResumedAttemptFindsItsCheckpointOnce) {
  std::string content(1'000'000, 'c');
  content[0] = 'R';
  coordinator_.put_checkpoint("ckpt", content, 300'000);  // each stream breaks on the way
  start_daemon();
  v1::Launch resumed = make_launch("show_resume\n", 2);
  resumed.set_resume_checkpoint_id("ckpt");
  resumed.set_resume_checkpoint_size(1'000'000);
  launch(resumed);
  wait_state(v1::RANK_STATE_DRAINED, 0);
  wait_state(v1::RANK_STATE_DRAINED, 1);
  EXPECT_EQ(received(0).out, "resume 1000000 R\n");
  EXPECT_EQ(received(1).out, "resume 1000000 R\n");
}

TEST_F(DaemonRanksTest, StopEndsALaunchThatStillDownloads) {
  coordinator_.put_checkpoint("ckpt", std::string(1'000'000, 'c'));
  coordinator_.stall_downloads();
  start_daemon();
  v1::Launch resumed = make_launch("print never\n");
  resumed.set_resume_checkpoint_id("ckpt");
  resumed.set_resume_checkpoint_size(1'000'000);
  launch(resumed);
  ASSERT_TRUE(coordinator_.wait_stalled_download());
  stop(60'000);
  ASSERT_TRUE(coordinator_.wait([](const Received& r) { return !r.failed_launches.empty(); }));
  EXPECT_FALSE(coordinator_.received().failed_launches[0].permanent());
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(run_folder()); }));
}

TEST_F(DaemonRanksTest, DaemonThatIsToStopItsRanksDoesSoGracefully) {
  start_daemon({"--stop-ranks-on-exit"});
  launch("print up\non_term_finish 75\n");
  wait_out("up");
  EXPECT_EQ(terminate_daemon(), 0);
  EXPECT_EQ(received().state(), v1::RANK_STATE_DRAINED);
  EXPECT_EQ(last_report().exit_code(), 75);
  EXPECT_THAT(coordinator_.received().checkpoints, SizeIs(1));
}

TEST_F(DaemonRanksTest, AcknowledgedOutputGivesItsDiskSpaceBack) {
  start_daemon();
  launch("fill 12000000\nwait_term\n");
  ASSERT_TRUE(coordinator_.wait([](const Received& r) {
    return r.ranks.count({kJob, 1, 0}) > 0 && r.ranks.at({kJob, 1, 0}).out.size() == 12'000'000;
  }));
  const std::string file = (run_folder() / "rank-0/stdout").string();
  EXPECT_TRUE(eventually([&] {
    struct stat status = {};
    return stat(file.c_str(), &status) == 0 && status.st_size == 12'000'000 &&
           status.st_blocks * 512 < 4'000'000;
  }));
}

TEST_F(DaemonRanksTest, FaultyGpusAreToldAtOnceAndWithEachRegistration) {
  const std::filesystem::path xids = folder_ / "xids";
  std::ofstream{xids};
  setenv("FAKE_NVML_GPUS", "2", 1);
  setenv("FAKE_NVML_XIDS", xids.c_str(), 1);
  start_daemon({"--gpu-library", runfile("worker/agent/testing/libfake_nvml.so")});
  unsetenv("FAKE_NVML_GPUS");
  unsetenv("FAKE_NVML_XIDS");
  ASSERT_TRUE(coordinator_.wait([](const Received& received) {
    return !received.registrations.empty() && received.registrations[0].devices_size() >= 2;
  }));
  std::ofstream(xids) << "1 79\n" << std::flush;
  ASSERT_TRUE(
      coordinator_.wait([](const Received& received) { return !received.device_faults.empty(); }));
  const v1::DeviceFaults faults = coordinator_.received().device_faults[0];
  ASSERT_EQ(faults.devices_size(), 1);
  EXPECT_EQ(faults.devices(0).kind(), "cuda");
  EXPECT_EQ(faults.devices(0).index(), 1);
  EXPECT_EQ(faults.devices(0).fault(), "Xid 79: fell off the bus");

  coordinator_.drop_session();
  ASSERT_TRUE(coordinator_.wait(
      [](const Received& received) { return received.registrations.size() == 2; }));
  const v1::Register again = coordinator_.received().registrations[1];
  int faulty = 0;
  for (const v1::Device& device : again.devices()) faulty += device.fault().empty() ? 0 : 1;
  EXPECT_EQ(faulty, 1);
}

}  // namespace
}  // namespace lctl::agent
