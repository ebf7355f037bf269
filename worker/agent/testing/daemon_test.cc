#include "worker/agent/testing/daemon_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>

extern char** environ;

namespace lctl::agent {
namespace {

constexpr int kPatienceMs = 60'000;

// Ranks and keepers outlive their daemon on purpose: ends those whose command line names the
// folder.
void kill_all_below(const std::filesystem::path& folder) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const pid_t pid = std::atoi(name.c_str());
    if (pid != getpid() &&
        slurp(entry.path() / "cmdline").find(folder.string()) != std::string::npos)
      kill(pid, SIGKILL);
  }
}

}  // namespace

std::string runfile(const std::string& path) {
  return std::string(std::getenv("TEST_SRCDIR")) + "/" + std::getenv("TEST_WORKSPACE") + "/" + path;
}

std::string slurp(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();  // unlike istreambuf_iterator, does not throw when a process ends under /proc
  return std::move(text).str();
}

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < kPatienceMs; ++i) {
    if (condition()) return true;
    usleep(1000);
  }
  return false;
}

bool is_alive(pid_t pid) {
  const std::string stat = slurp("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t end = stat.rfind(") ");
  return end != std::string::npos && stat[end + 2] != 'Z' && stat[end + 2] != 'X';
}

std::vector<long> steps_of(const Received::Rank& rank) {
  std::vector<long> steps;
  for (const v1::Event& event : rank.events) {
    if (event.has_metrics()) steps.push_back(static_cast<long>(event.metrics().step()));
  }
  return steps;
}

std::string step_lines(long steps) {
  std::string text;
  for (long i = 0; i < steps; ++i) text += "step " + std::to_string(i) + "\n";
  return text;
}

DaemonTest::DaemonTest()
    : folder_(std::filesystem::path(testing::TempDir()) /
              ("daemon_test_" + std::to_string(getpid()) + "_" +
               testing::UnitTest::GetInstance()->current_test_info()->name())),
      data_dir_(folder_ / "data") {
  std::filesystem::remove_all(folder_);
  std::filesystem::create_directories(data_dir_);
}

DaemonTest::~DaemonTest() {
  if (HasFailure() || std::getenv("SHOW_LOG") != nullptr)
    std::fprintf(stderr, "---- lctl-worker's log\n%s", daemon_log().c_str());
  if (daemon_ > 0) kill_daemon();
  kill_all_below(folder_);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void DaemonTest::start_daemon(std::vector<std::string> extra) {
  std::vector<std::string> arguments{runfile("worker/agent/lctl-worker"),
                                     "--server",
                                     coordinator_.address(),
                                     "--data-dir",
                                     data_dir_.string(),
                                     "--name",
                                     "n1",
                                     "--cpu-slots",
                                     "4",
                                     "--keeper",
                                     runfile("worker/keeper/lctl-keeper")};
  if (std::find(extra.begin(), extra.end(), "--trainer") == extra.end()) {
    arguments.insert(arguments.end(), {"--trainer", runfile("worker/agent/testing/test_trainer")});
  }
  arguments.insert(arguments.end(), extra.begin(), extra.end());
  std::vector<char*> raw;
  for (std::string& argument : arguments) raw.push_back(argument.data());
  raw.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const std::string log = (folder_ / "daemon.log").string();
  posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0640);
  ASSERT_EQ(posix_spawn(&daemon_, raw[0], &actions, nullptr, raw.data(), environ), 0);
  posix_spawn_file_actions_destroy(&actions);
}

void DaemonTest::kill_daemon() {
  kill(daemon_, SIGKILL);
  waitpid(daemon_, nullptr, 0);
  daemon_ = 0;
}

int DaemonTest::terminate_daemon() {
  kill(daemon_, SIGTERM);
  int status = 0;
  waitpid(daemon_, &status, 0);
  daemon_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool DaemonTest::daemon_has_ended() {
  if (waitpid(daemon_, nullptr, WNOHANG) != daemon_) return false;
  daemon_ = 0;
  return true;
}

v1::Launch DaemonTest::make_launch(const std::string& script, int ranks, int attempt) const {
  v1::Launch launch;
  launch.set_job_id(kJob);
  launch.set_attempt(attempt);
  launch.mutable_spec()->set_name("test-job");
  launch.mutable_spec()->set_config_yaml(script);
  launch.set_world_size(ranks);
  for (int i = 0; i < ranks; ++i) {
    v1::RankAssignment& rank = *launch.add_ranks();
    rank.set_rank(i);
    rank.set_local_rank(i);
    rank.set_device_index(i);
    rank.set_device_kind("cpu");
  }
  launch.mutable_rendezvous()->set_bind(true);
  return launch;
}

void DaemonTest::launch(const v1::Launch& launch) {
  v1::ServerMessage message;
  *message.mutable_launch() = launch;
  ASSERT_TRUE(eventually([&] { return coordinator_.send(message); }))
      << "the daemon never registered";
}

void DaemonTest::stop(std::int64_t grace_ms) {
  v1::ServerMessage message;
  message.mutable_stop()->set_job_id(kJob);
  message.mutable_stop()->set_attempt(1);
  message.mutable_stop()->set_grace_ms(grace_ms);
  message.mutable_stop()->set_reason("the test asks");
  ASSERT_TRUE(eventually([&] { return coordinator_.send(message); }));
}

void DaemonTest::forget(int attempt) {
  v1::ServerMessage message;
  message.mutable_forget()->set_job_id(kJob);
  message.mutable_forget()->set_attempt(attempt);
  ASSERT_TRUE(eventually([&] { return coordinator_.send(message); }));
}

void DaemonTest::wait_state(v1::RankState state, int rank, int attempt) {
  ASSERT_TRUE(coordinator_.wait([&](const Received& received) {
    const auto found = received.ranks.find({kJob, attempt, rank});
    return found != received.ranks.end() && found->second.state() == state;
  })) << "rank "
      << rank << " did not become " << v1::RankState_Name(state);
}

void DaemonTest::wait_out(const std::string& text, int rank) {
  ASSERT_TRUE(coordinator_.wait([&](const Received& received) {
    const auto found = received.ranks.find({kJob, 1, rank});
    return found != received.ranks.end() && found->second.out.find(text) != std::string::npos;
  })) << "'"
      << text << "' did not arrive";
}

Received::Rank DaemonTest::received(int rank, int attempt) const {
  return coordinator_.received().ranks[{kJob, attempt, rank}];
}

v1::RankReport DaemonTest::last_report(int rank, int attempt) const {
  const auto reports = received(rank, attempt).reports;
  return reports.empty() ? v1::RankReport() : reports.back();
}

pid_t DaemonTest::rank_pid(int rank) const { return static_cast<pid_t>(last_report(rank).pid()); }

pid_t DaemonTest::keeper_pid(int rank) const {
  return std::atoi(slurp(run_folder() / ("rank-" + std::to_string(rank)) / "process").c_str());
}

std::filesystem::path DaemonTest::run_folder(int attempt) const {
  return data_dir_ / "runs" / (std::string(kJob) + "." + std::to_string(attempt));
}

}  // namespace lctl::agent
