#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/boot_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

extern char** environ;

namespace lctl {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

std::string slurp(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();  // unlike istreambuf_iterator, does not throw when a process ends under /proc
  return std::move(text).str();
}

class KeeperTest : public ::testing::Test {
 protected:
  KeeperTest() : folder_(std::filesystem::path(testing::TempDir()) / "keeper_test") {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_ / "work");
  }
  ~KeeperTest() override {
    if (keeper_ > 0) kill(keeper_, SIGKILL);
  }

  // Starts `script` under a keeper and waits for its ready line: "keeper start rank start", or "".
  std::string start(std::vector<std::string> command) {
    int ready[2];
    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    const std::string binary = std::string(std::getenv("TEST_SRCDIR")) + "/" +
                               std::getenv("TEST_WORKSPACE") + "/worker/keeper/lctl-keeper";
    std::vector<std::string> arguments{
        binary, folder_.string(), (folder_ / "work").string(), std::to_string(ready[1]),
        lease_, grace_ms_};
    arguments.insert(arguments.end(), command.begin(), command.end());
    std::vector<char*> raw;
    for (std::string& argument : arguments) raw.push_back(argument.data());
    raw.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ready[1], ready[1]);
    EXPECT_EQ(posix_spawn(&keeper_, binary.c_str(), &actions, nullptr, raw.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ready[1]);
    std::string line;
    char byte = 0;
    while (read(ready[0], &byte, 1) == 1) line.push_back(byte);
    close(ready[0]);
    return line;
  }
  // From here on ranks have a lease until then, and the grace behind it.
  void grant(std::chrono::nanoseconds deadline, const std::string& grace_ms = "60000") {
    lease_ = (folder_ / "lease").string();
    grace_ms_ = grace_ms;
    move_deadline(deadline);
  }
  void move_deadline(std::chrono::nanoseconds deadline) const {
    std::ofstream(lease_) << deadline.count() << " 4000\n";
  }
  std::string start_shell(const std::string& script) { return start({"/bin/sh", "-c", script}); }

  pid_t rank_of(const std::string& ready) const {
    long keeper = 0;
    long rank = 0;
    unsigned long long when = 0;
    EXPECT_EQ(std::sscanf(ready.c_str(), "%ld %llu %ld", &keeper, &when, &rank), 3) << ready;
    EXPECT_EQ(keeper, keeper_);
    return static_cast<pid_t>(rank);
  }
  void wait_for_keeper() {
    waitpid(keeper_, nullptr, 0);
    keeper_ = 0;
  }

  std::filesystem::path folder_;
  std::string lease_ = "-";
  std::string grace_ms_ = "0";
  pid_t keeper_ = 0;
};

TEST_F(KeeperTest, OutputGoesToFilesAndTheExitCodeIsKept) {
  const std::string ready = start_shell("echo out; echo err >&2; pwd; exit 7");
  EXPECT_EQ(slurp(folder_ / "process"), ready);
  wait_for_keeper();
  EXPECT_EQ(slurp(folder_ / "exit"), "exit 7\n");
  EXPECT_EQ(slurp(folder_ / "stdout"), "out\n" + (folder_ / "work").string() + "\n");
  EXPECT_EQ(slurp(folder_ / "stderr"), "err\n");
}

TEST_F(KeeperTest, OutputIsAppendedNotReplaced) {
  std::ofstream(folder_ / "stdout") << "before\n";
  start_shell("echo after");
  wait_for_keeper();
  EXPECT_EQ(slurp(folder_ / "stdout"), "before\nafter\n");
}

TEST_F(KeeperTest, DeathBySignalIsTold) {
  start_shell("kill -SEGV $$");
  wait_for_keeper();
  EXPECT_EQ(slurp(folder_ / "exit"), "signal 11\n");
}

TEST_F(KeeperTest, SigtermReachesTheRanksWholeGroup) {
  const std::string ready =
      start_shell("trap 'echo asked; exit 75' TERM; echo up; while :; do sleep 0.02; done");
  while (slurp(folder_ / "stdout").find("up") == std::string::npos) usleep(1000);
  kill(keeper_, SIGTERM);
  wait_for_keeper();
  EXPECT_EQ(slurp(folder_ / "exit"), "exit 75\n");
  EXPECT_THAT(slurp(folder_ / "stdout"), HasSubstr("asked"));
}

TEST_F(KeeperTest, Sigusr1Kills) {
  start_shell("trap '' TERM; while :; do sleep 0.02; done");
  kill(keeper_, SIGUSR1);
  wait_for_keeper();
  EXPECT_EQ(slurp(folder_ / "exit"), "signal 9\n");
}

TEST_F(KeeperTest, RankDiesWithItsKeeper) {
  const pid_t rank = rank_of(start({"/bin/sleep", "600"}));
  ASSERT_EQ(kill(rank, 0), 0);
  kill(keeper_, SIGKILL);
  wait_for_keeper();
  // Reaped by init or by the nearest subreaper; until then it is a zombie, which kill() still
  // finds.
  const std::string stat = "/proc/" + std::to_string(rank) + "/stat";
  for (int i = 0; i < 5000; ++i) {
    const std::string text = slurp(stat);
    if (text.empty() || text.find(") Z ") != std::string::npos) break;
    usleep(1000);
  }
  const std::string text = slurp(stat);
  EXPECT_TRUE(text.empty() || text.find(") Z ") != std::string::npos) << text;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "exit"));
}

TEST_F(KeeperTest, MissingProgramIsAnExitOf127WithAReasonInStderr) {
  start({"/nope/trainer"});
  wait_for_keeper();
  EXPECT_EQ(slurp(folder_ / "exit"), "exit 127\n");
  EXPECT_THAT(slurp(folder_ / "stderr"), HasSubstr("starting /nope/trainer: No such file"));
}

TEST_F(KeeperTest, MissingFolderIsToldToTheDaemon) {
  std::filesystem::remove_all(folder_);
  EXPECT_THAT(start_shell("exit 0"), StartsWith("error " + std::to_string(ENOENT) + " opening "));
  wait_for_keeper();
}

TEST_F(KeeperTest, ProcessFileOfADaemonThatGaveTheRankUpIsRespected) {
  std::ofstream(folder_ / "process") << "none\n";
  EXPECT_THAT(start_shell("echo ran"), StartsWith("error " + std::to_string(EEXIST)));
  wait_for_keeper();
  EXPECT_EQ(slurp(folder_ / "process"), "none\n");
  EXPECT_EQ(slurp(folder_ / "stdout"), "");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "exit"));
}

// For a shell on a busy machine.
constexpr std::chrono::seconds kTimeToSetATrap{2};
constexpr char kWritesACheckpoint[] =
    "trap 'echo asked; exit 75' TERM; echo up; while :; do sleep 0.02; done";

TEST_F(KeeperTest, LeaseThatRunsOutEndsTheRank) {
  grant(time_since_boot() + kTimeToSetATrap);
  start_shell(kWritesACheckpoint);
  wait_for_keeper();
  EXPECT_EQ(slurp(folder_ / "exit"), "exit 75 lease 4000\n");
  EXPECT_THAT(slurp(folder_ / "stdout"), HasSubstr("asked"));
}

TEST_F(KeeperTest, LeaseThatHasRunOutAlreadyEndsTheRankAtOnce) {
  grant(std::chrono::nanoseconds(1), "0");
  start({"/bin/sleep", "600"});
  wait_for_keeper();
  EXPECT_EQ(slurp(folder_ / "exit"), "signal 9 lease 4000\n");
}

TEST_F(KeeperTest, RankThatDoesNotEndAfterItsLeaseIsKilled) {
  grant(time_since_boot() + kTimeToSetATrap, "100");
  start_shell("trap '' TERM; while :; do sleep 0.02; done");
  wait_for_keeper();
  EXPECT_EQ(slurp(folder_ / "exit"), "signal 9 lease 4000\n");
}

TEST_F(KeeperTest, DeadlineThatIsMovedOnIsNoEnd) {
  grant(time_since_boot() + std::chrono::milliseconds(200));
  start_shell("echo up; while [ ! -e " + (folder_ / "go").string() + " ]; do sleep 0.02; done");
  move_deadline(time_since_boot() + std::chrono::hours(1));
  // The first deadline passes; nothing must come of it.
  usleep(500'000);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "exit"));
  std::ofstream(folder_ / "go") << "";
  wait_for_keeper();
  EXPECT_EQ(slurp(folder_ / "exit"), "exit 0\n");
}

TEST_F(KeeperTest, NodeWithoutALeaseSetsNoBound) {
  grant(std::chrono::nanoseconds(0));
  start_shell("echo up");
  wait_for_keeper();
  EXPECT_EQ(slurp(folder_ / "exit"), "exit 0\n");
}

TEST_F(KeeperTest, LeaseThatIsNotThereIsToldToTheDaemon) {
  lease_ = (folder_ / "nowhere").string();
  EXPECT_THAT(start_shell("exit 0"), StartsWith("error " + std::to_string(ENOENT) + " opening "));
  wait_for_keeper();
}

TEST_F(KeeperTest, RankThatFinishesAfterItsLeaseHasSucceeded) {
  grant(time_since_boot() + kTimeToSetATrap);
  start_shell("trap 'exit 0' TERM; while :; do sleep 0.02; done");
  wait_for_keeper();
  EXPECT_EQ(slurp(folder_ / "exit"), "exit 0\n");
}

TEST_F(KeeperTest, OnlyTheRendezvousSocketIsHandedDown) {
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);  // not close-on-exec: the keeper inherits both ends
  setenv("LCTL_RENDEZVOUS_FD", std::to_string(pipes[1]).c_str(), 1);
  start_shell("ls /proc/$$/fd");
  unsetenv("LCTL_RENDEZVOUS_FD");
  close(pipes[0]);
  close(pipes[1]);
  wait_for_keeper();
  std::istringstream listed(slurp(folder_ / "stdout"));
  std::vector<std::string> open;
  for (std::string each; listed >> each;) open.push_back(each);
  EXPECT_THAT(open, UnorderedElementsAre("0", "1", "2", std::to_string(pipes[1])));
}

}  // namespace
}  // namespace lctl
