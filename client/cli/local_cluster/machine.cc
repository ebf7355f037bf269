#include "client/cli/local_cluster/machine.h"

#include <dirent.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace lctl::cli {

namespace fs = std::filesystem;

std::vector<int> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(static_cast<std::size_t>(core), &set)) cores.push_back(core);
    }
  }
  if (cores.empty()) cores.push_back(0);
  return cores;
}

std::vector<int> share_of_cores(const std::vector<int>& cores, int index, int workers) {
  const int count = static_cast<int>(cores.size());
  if (count < workers) return cores;
  const int begin = index * (count / workers) + std::min(index, count % workers);
  const int length = count / workers + (index < count % workers ? 1 : 0);
  return {cores.begin() + begin, cores.begin() + begin + length};
}

absl::Status parse_host_port(const std::string& text, HostPort& result) {
  const auto refuse = [&](const char* why) {
    return absl::InvalidArgumentError(fmt::format(
        "`{}` is no address to listen on: {}; expected HOST:PORT, such as 127.0.0.1:7070", text,
        why));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return refuse("it has no port");
  result.host = text.substr(0, colon);
  if (result.host.size() > 2 && result.host.front() == '[' && result.host.back() == ']') {
    result.host = result.host.substr(1, result.host.size() - 2);
  }
  if (result.host.empty()) return refuse("it has no host");
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data() + colon + 1, last, result.port);
  if (error != std::errc() || end != last || result.port < 0 || result.port > 65535) {
    return refuse("the port is no number from 0 to 65535");
  }
  return absl::OkStatus();
}

absl::Status check_port_free(const HostPort& address) {
  if (address.port == 0) return absl::OkStatus();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(address.port);
  if (::getaddrinfo(address.host.c_str(), port.c_str(), &hints, &found) != 0) {
    return absl::OkStatus();
  }
  int error = 0;
  const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0) {
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (::bind(fd, found->ai_addr, found->ai_addrlen) != 0) error = errno;
    ::close(fd);
  }
  ::freeaddrinfo(found);
  if (error != EADDRINUSE) return absl::OkStatus();
  return absl::AlreadyExistsError(fmt::format("{}:{} is in use", address.host, address.port));
}

namespace {

// Inodes of the sockets that listen on the port, as "socket:[N]".
std::vector<std::string> listening_sockets(int port) {
  std::vector<std::string> sockets;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream in(table);
    std::string line;
    std::getline(in, line);  // the title
    while (std::getline(in, line)) {
      std::istringstream fields(line);
      std::string slot, local, remote, state, skipped, inode;
      fields >> slot >> local >> remote >> state;
      for (int i = 0; i < 5; ++i) fields >> skipped;
      fields >> inode;
      const std::size_t colon = local.rfind(':');
      if (state != "0A" || colon == std::string::npos) continue;  // 0A = LISTEN
      if (std::strtol(local.c_str() + colon + 1, nullptr, 16) != port) continue;
      sockets.push_back("socket:[" + inode + "]");
    }
  }
  return sockets;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// Processes whose parent is this one.
std::vector<pid_t> children() {
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (!is_number(name)) continue;
    std::ifstream in(entry.path() / "stat");
    std::string text((std::istreambuf_iterator<char>(in)), {});
    // "pid (name) state ppid …": the name may hold anything, also ')'.
    const std::size_t after = text.rfind(')');
    if (after == std::string::npos) continue;
    char state = 0;
    long parent = 0;
    if (std::sscanf(text.c_str() + after + 1, " %c %ld", &state, &parent) != 2) continue;
    if (parent == ::getpid() && state != 'Z') found.push_back(std::stoi(name));
  }
  return found;
}

}  // namespace

std::string who_listens(int port) {
  const std::vector<std::string> sockets = listening_sockets(port);
  if (sockets.empty()) return "";
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const std::string pid = process.path().filename();
    if (!is_number(pid)) continue;
    std::error_code hidden;  // other users' processes do not show theirs
    for (const auto& fd : fs::directory_iterator(process.path() / "fd", hidden)) {
      const std::string target = fs::read_symlink(fd.path(), hidden).string();
      if (std::find(sockets.begin(), sockets.end(), target) == sockets.end()) continue;
      std::ifstream in(process.path() / "comm");
      std::string name;
      std::getline(in, name);
      return fmt::format("{} (process {})", name, pid);
    }
  }
  return "";
}

int kill_all_children() {
  int killed = 0;
  for (;;) {
    const std::vector<pid_t> left = children();
    for (const pid_t child : left) {
      if (::kill(child, SIGKILL) == 0) ++killed;
    }
    // Blocks until one is gone; its own children then come to us and are seen in the next round.
    if (::waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) return killed;
  }
}

}  // namespace lctl::cli
