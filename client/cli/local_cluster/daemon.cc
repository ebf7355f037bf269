#include "client/cli/local_cluster/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/status.h"

extern char** environ;

namespace lctl::cli {
namespace {

constexpr off_t kLargestLog = 16 << 20;
constexpr std::size_t kOutputShown = 64 << 10;

// Restricts this thread, and so the processes that it starts, to some cores while it lives.
class CoreScope {
 public:
  explicit CoreScope(const std::vector<int>& cores) {
    if (cores.empty() || ::sched_getaffinity(0, sizeof(before_), &before_) != 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int core : cores) CPU_SET(static_cast<std::size_t>(core), &set);
    restricted_ = ::sched_setaffinity(0, sizeof(set), &set) == 0;
  }
  ~CoreScope() {
    if (restricted_) ::sched_setaffinity(0, sizeof(before_), &before_);
  }
  CoreScope(const CoreScope&) = delete;
  CoreScope& operator=(const CoreScope&) = delete;

 private:
  cpu_set_t before_{};
  bool restricted_ = false;
};

// posix_spawn's settings: output to `log`, input from nowhere, own group, default signals.
class SpawnSettings {
 public:
  explicit SpawnSettings(int log) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, log, 1);
    posix_spawn_file_actions_adddup2(&actions_, log, 2);
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigemptyset(&none);
    sigset_t defaults;
    sigemptyset(&defaults);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) sigaddset(&defaults, number);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &defaults);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

absl::Status Daemon::start() {
  const int log = ::open(spec_.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) return errno_status(errno, fmt::format("cannot write {}", spec_.log_path));
  struct stat info{};
  if (::fstat(log, &info) == 0 && info.st_size > kLargestLog && ::ftruncate(log, 0) == 0) {
    info.st_size = 0;
  }
  log_begin_ = info.st_size;
  std::vector<char*> arguments;
  for (std::string& word : spec_.command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  int error = 0;
  {
    const CoreScope cores(spec_.cores);
    const SpawnSettings settings(log);
    error = ::posix_spawn(&pid_, arguments[0], settings.actions(), settings.attributes(),
                          arguments.data(), environ);
  }
  ::close(log);
  if (error == 0) return absl::OkStatus();
  pid_ = 0;
  return errno_status(error, fmt::format("cannot start {}", spec_.command.front()));
}

void Daemon::signal(int number) {
  if (pid_ != 0) ::kill(pid_, number);
}

void Daemon::ended(int wait_status) {
  pid_ = 0;
  if (WIFSIGNALED(wait_status)) {
    const int number = WTERMSIG(wait_status);
    last_end_ = fmt::format("killed by signal {} ({})", number, ::strsignal(number));
  } else {
    last_end_ = fmt::format("exit code {}", WEXITSTATUS(wait_status));
  }
}

std::string Daemon::output() const {
  const int log = ::open(spec_.log_path.c_str(), O_RDONLY | O_CLOEXEC);
  if (log < 0) return "";
  struct stat info{};
  std::int64_t begin = log_begin_;
  if (::fstat(log, &info) == 0) {
    begin = std::max(begin, info.st_size - static_cast<std::int64_t>(kOutputShown));
  }
  std::string text(kOutputShown, '\0');
  const ssize_t n = ::pread(log, text.data(), text.size(), begin);
  ::close(log);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

std::string Daemon::last_output(int lines) const {
  std::string text = output();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::size_t at = text.size();
  for (int i = 0; i < lines && at != std::string::npos && at > 0; ++i)
    at = text.rfind('\n', at - 1);
  return at == std::string::npos || at == 0 ? text : text.substr(at + 1);
}

}  // namespace lctl::cli
