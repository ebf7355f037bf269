#include "worker/agent/process_start.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <utility>

namespace lctl::agent {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::string read_to_end(int fd) {
  std::string text;
  char buffer[256];
  while (true) {
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

// Attributes and file actions that undo what a daemon does to itself: a clean signal state, a
// session of its own, no standard input.
class SpawnSetup {
 public:
  SpawnSetup() {
    posix_spawnattr_init(&attributes_);
    posix_spawn_file_actions_init(&actions_);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    posix_spawnattr_setflags(
        &attributes_,
        static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID));
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  }
  ~SpawnSetup() {
    posix_spawnattr_destroy(&attributes_);
    posix_spawn_file_actions_destroy(&actions_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  // Duplicating a descriptor onto itself clears its close-on-exec flag in the child.
  void keep_open(int fd) { posix_spawn_file_actions_adddup2(&actions_, fd, fd); }

  const posix_spawnattr_t* attributes() const { return &attributes_; }
  const posix_spawn_file_actions_t* actions() const { return &actions_; }

 private:
  posix_spawnattr_t attributes_;
  posix_spawn_file_actions_t actions_;
};

}  // namespace

absl::StatusOr<RendezvousSocket> open_rendezvous_socket(bool loopback_only) {
  RendezvousSocket result;
  result.fd = Descriptor(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const bool ipv6 = result.fd.valid() && !loopback_only;
  if (!ipv6) result.fd = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!result.fd.valid()) return errno_status(errno, "opening the rendezvous socket");
  int bound = 0;
  if (ipv6) {
    const int off = 0;  // IPv4 peers reach it too
    setsockopt(result.fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_any;
    bound = bind(result.fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  } else {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(loopback_only ? INADDR_LOOPBACK : INADDR_ANY);
    bound = bind(result.fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  }
  if (bound != 0 || listen(result.fd.get(), 1024) != 0) {
    return errno_status(errno, "listening on the rendezvous socket");
  }
  sockaddr_storage own = {};
  socklen_t size = sizeof(own);
  if (getsockname(result.fd.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    return errno_status(errno, "asking for the rendezvous port");
  }
  result.port =
      ntohs(own.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&own)->sin6_port
                                      : reinterpret_cast<const sockaddr_in*>(&own)->sin_port);
  return result;
}

absl::StatusOr<RankProcess> start_keeper(const KeeperCommand& command) {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) return errno_status(errno, "making a pipe for the keeper");
  const Descriptor ready_read(ready[0]);
  Descriptor ready_write(ready[1]);

  std::vector<std::string> arguments{
      command.keeper.string(),      command.rank_folder.string(),
      command.work_folder.string(), std::to_string(ready_write.get()),
      command.lease.string(),       std::to_string(command.grace_ms)};
  arguments.insert(arguments.end(), command.command.begin(), command.command.end());
  std::vector<std::string> variables;
  variables.reserve(command.environment.size());
  for (const auto& [name, value] : command.environment) variables.push_back(name + "=" + value);

  SpawnSetup setup;
  setup.keep_open(ready_write.get());
  if (command.passed_fd >= 0) setup.keep_open(command.passed_fd);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, command.keeper.c_str(), setup.actions(), setup.attributes(),
                                pointers(arguments).data(), pointers(variables).data());
  if (error != 0) return errno_status(error, fmt::format("starting {}", command.keeper.string()));
  ready_write = Descriptor();
  const std::string line = read_to_end(ready_read.get());
  if (const auto process = parse_process(line)) return *process;
  waitpid(pid, nullptr, 0);  // it has said its last word
  int reason = 0;
  int text = 0;
  if (std::sscanf(line.c_str(), "error %d %n", &reason, &text) == 1 && text > 0) {
    return errno_status(reason,
                        fmt::format("starting a rank in {}: {}", command.rank_folder.string(),
                                    line.substr(static_cast<std::size_t>(text),
                                                line.find('\n') - static_cast<std::size_t>(text))));
  }
  return absl::UnavailableError(fmt::format("the keeper of {} ended before it had started its rank",
                                            command.rank_folder.string()));
}

absl::StatusOr<Descriptor> open_process(pid_t pid, unsigned long long start_time) {
  Descriptor fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  // The descriptor is open: from here on the pid cannot be recycled unnoticed.
  if (!fd.valid() || process_start_time(pid) != start_time) {
    return absl::NotFoundError(fmt::format("process {} is gone", pid));
  }
  return fd;
}

bool has_ended(const Descriptor& process) {
  pollfd readable = {.fd = process.get(), .events = POLLIN, .revents = 0};
  return poll(&readable, 1, 0) > 0;
}

absl::Status signal_process(const Descriptor& process, int signal) {
  if (syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0) != 0 && errno != ESRCH) {
    return errno_status(errno, "sending a signal");
  }
  return absl::OkStatus();
}

}  // namespace lctl::agent
