#include "worker/trainer/trainer/launcher.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "worker/trainer/trainer/run_control.h"
#include "worker/trainer/trainer/slurm.h"

namespace lctl {
namespace {

constexpr int kMaxRanks = 1 << 20;

std::optional<int> number_from(const char* name, int lowest, int highest) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return std::nullopt;
  const std::string_view view(text);
  int value = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
  if (error != std::errc() || end != view.data() + view.size() || value < lowest ||
      value > highest) {
    throw std::invalid_argument(std::string("environment variable ") + name + "=" + text +
                                ": expected an integer from " + std::to_string(lowest) + " to " +
                                std::to_string(highest));
  }
  return value;
}

std::system_error system_failure(const char* what) {
  return std::system_error(errno, std::generic_category(), what);
}

}  // namespace

namespace {

// One of srun's tasks: SLURM says which, and ranks meet on the first node of the job at a port made
// from its number, unless MASTER_ADDR and MASTER_PORT say otherwise.
LaunchedRank rank_of_srun() {
  LaunchedRank launched;
  RankLayout& layout = launched.layout;
  layout.world_size = number_from("SLURM_NTASKS", 1, kMaxRanks).value_or(1);
  layout.global_rank = number_from("SLURM_PROCID", 0, kMaxRanks).value_or(0);
  layout.local_rank = number_from("SLURM_LOCALID", 0, kMaxRanks).value_or(0);
  layout.node_rank = number_from("SLURM_NODEID", 0, kMaxRanks).value_or(0);
  const std::optional<int> per_node = number_from("SLURM_NTASKS_PER_NODE", 1, kMaxRanks);
  if (!per_node) {
    throw std::invalid_argument(
        fmt::format("You set `--ntasks={0}` in your SLURM bash script, but this variable is not "
                    "supported. HINT: Use `--ntasks-per-node={0}` instead.",
                    layout.world_size));
  }
  layout.local_world_size = *per_node;
  const auto text = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  launched.rendezvous.address = text("MASTER_ADDR");
  if (launched.rendezvous.address.empty()) {
    const std::string nodes = text("SLURM_NODELIST");
    launched.rendezvous.address = nodes.empty() ? "127.0.0.1" : first_host(nodes);
  }
  constexpr int kFirstPort = 15000;
  const int job = number_from("SLURM_JOB_ID", 0, std::numeric_limits<int>::max()).value_or(0);
  launched.rendezvous.port =
      number_from("MASTER_PORT", 1, 65535).value_or(kFirstPort + job % 10000);
  return launched;
}

}  // namespace

std::optional<LaunchedRank> launched_rank() {
  const std::optional<int> rank = number_from("RANK", 0, kMaxRanks);
  const std::optional<int> local_rank = number_from("LOCAL_RANK", 0, kMaxRanks);
  if (!rank && !local_rank) {
    // A single task may start further ranks itself.
    if (!under_srun() || number_from("SLURM_NTASKS", 1, kMaxRanks) == 1) return std::nullopt;
    return rank_of_srun();
  }
  LaunchedRank launched;
  RankLayout& layout = launched.layout;
  layout.world_size = number_from("WORLD_SIZE", 1, kMaxRanks).value_or(1);
  layout.global_rank = rank.value_or(*local_rank);
  layout.local_rank = local_rank.value_or(layout.global_rank);
  layout.local_world_size =
      number_from("LOCAL_WORLD_SIZE", 1, kMaxRanks).value_or(layout.world_size);
  layout.node_rank = number_from("GROUP_RANK", 0, kMaxRanks)
                         .value_or(number_from("NODE_RANK", 0, kMaxRanks).value_or(0));
  if (layout.global_rank >= layout.world_size) {
    throw std::invalid_argument(
        "environment: RANK=" + std::to_string(layout.global_rank) +
        " does not exist among WORLD_SIZE=" + std::to_string(layout.world_size) + " ranks");
  }
  if (layout.world_size == 1) return launched;
  const char* address = std::getenv("MASTER_ADDR");
  launched.rendezvous.address = address != nullptr && *address != '\0' ? address : "127.0.0.1";
  const std::optional<int> port = number_from("MASTER_PORT", 1, 65535);
  if (!port)
    throw std::invalid_argument(
        "environment variable MASTER_PORT is not set, and the run has more than one rank");
  launched.rendezvous.port = *port;
  if (layout.global_rank == 0)
    launched.rendezvous.listen_fd = number_from("LCTL_RENDEZVOUS_FD", 0, 1 << 20).value_or(-1);
  return launched;
}

LocalRanks::LocalRanks(int count, const std::vector<std::string>& command_line) : count_(count) {
  listen_fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listen_fd_ < 0) throw system_failure("rendezvous: cannot make a socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listen_fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listen_fd_, 1024) != 0 ||
      getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw system_failure("rendezvous: cannot listen on 127.0.0.1");
  }
  port_ = ntohs(address.sin_port);
  if (std::getenv("OMP_NUM_THREADS") == nullptr) {
    const unsigned threads =
        std::max(1u, std::thread::hardware_concurrency() / static_cast<unsigned>(count));
    setenv("OMP_NUM_THREADS", std::to_string(threads).c_str(), 1);
  }
  std::vector<char*> arguments;
  for (const std::string& word : command_line) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  for (int rank = 1; rank < count; ++rank) {
    const pid_t child = fork();
    if (child < 0) throw system_failure("cannot start a rank");
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (getppid() != parent) _exit(1);
      const std::string number = std::to_string(rank);
      setenv("RANK", number.c_str(), 1);
      setenv("LOCAL_RANK", number.c_str(), 1);
      setenv("WORLD_SIZE", std::to_string(count).c_str(), 1);
      setenv("LOCAL_WORLD_SIZE", std::to_string(count).c_str(), 1);
      setenv("GROUP_RANK", "0", 1);
      setenv("MASTER_ADDR", "127.0.0.1", 1);
      setenv("MASTER_PORT", std::to_string(port_).c_str(), 1);
      for (const char* own : {"LCTL_SPOOL", "LCTL_STAGE"}) {  // one writer per file
        if (const char* path = std::getenv(own))
          setenv(own, (std::string(path) + ".rank" + number).c_str(), 1);
      }
      execv("/proc/self/exe", arguments.data());
      _exit(127);
    }
    children_.push_back(child);
    signals::forward_to(child);
  }
}

LaunchedRank LocalRanks::rank_zero() const {
  LaunchedRank launched;
  launched.layout.world_size = count_;
  launched.layout.local_world_size = count_;
  launched.rendezvous = {"127.0.0.1", port_, listen_fd_};
  return launched;
}

int LocalRanks::wait() {
  int first_failure = 0;
  for (const pid_t child : children_) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (first_failure == 0) first_failure = code;
  }
  children_.clear();
  return first_failure;
}

LocalRanks::~LocalRanks() {
  for (const pid_t child : children_) kill(child, SIGKILL);
  wait();
}

}  // namespace lctl
