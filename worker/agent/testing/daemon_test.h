// The built lctl-worker as a process, against a coordinator in memory, running test_trainer.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "worker/agent/testing/fake_coordinator.h"

namespace lctl::agent {

// A file among the test's runfiles.
std::string runfile(const std::string& path);

std::string slurp(const std::filesystem::path& file);

// True when `condition` holds within 60 s; looks every millisecond. For what no message tells.
bool eventually(const std::function<bool()>& condition);

bool is_alive(pid_t pid);  // and no zombie

// One folder, one coordinator, at most one daemon at a time. Nothing outlives the test.
class DaemonTest : public ::testing::Test {
 protected:
  static constexpr char kJob[] = "abcdefghij";

  DaemonTest();
  ~DaemonTest() override;

  void start_daemon(std::vector<std::string> extra = {});
  void kill_daemon();       // -9
  int terminate_daemon();   // SIGTERM; its exit code
  bool daemon_has_ended();  // by itself
  std::string daemon_log() const { return slurp(folder_ / "daemon.log"); }

  // A launch of ranks 0..ranks-1, all on this node, that run `script`.
  v1::Launch make_launch(const std::string& script, int ranks = 1, int attempt = 1) const;
  void launch(const v1::Launch& launch);
  void launch(const std::string& script, int ranks = 1) { launch(make_launch(script, ranks)); }
  void stop(std::int64_t grace_ms);
  void forget(int attempt = 1);

  // Waits, then asserts that it came true.
  void wait_state(v1::RankState state, int rank = 0, int attempt = 1);
  void wait_out(const std::string& text, int rank = 0);
  Received::Rank received(int rank = 0, int attempt = 1) const;
  v1::RankReport last_report(int rank = 0, int attempt = 1) const;  // empty when there is none
  pid_t rank_pid(int rank = 0) const;
  pid_t keeper_pid(int rank = 0) const;
  std::filesystem::path run_folder(int attempt = 1) const;
  std::filesystem::path data_dir() const { return data_dir_; }

  const std::filesystem::path folder_;
  std::filesystem::path data_dir_;
  FakeCoordinator coordinator_;
  pid_t daemon_ = 0;
};

// The steps of all metric events, in order.
std::vector<long> steps_of(const Received::Rank& rank);
// "step 0\nstep 1\n…" for `steps` steps.
std::string step_lines(long steps);

}  // namespace lctl::agent
