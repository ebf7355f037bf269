// Starting keepers, and keeping an eye on them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "base/status.h"
#include "worker/agent/rank_environment.h"
#include "worker/agent/run_folder.h"

namespace lctl::agent {

// A listening TCP socket for rank 0's store, on a port that the kernel chose.
struct RendezvousSocket {
  Descriptor fd;
  int port = 0;
};
absl::StatusOr<RendezvousSocket> open_rendezvous_socket(bool loopback_only);

struct KeeperCommand {
  std::filesystem::path keeper;  // the program
  std::filesystem::path rank_folder;
  std::filesystem::path work_folder;
  std::filesystem::path lease;       // file of the node's lease
  std::int64_t grace_ms = 0;         // between SIGTERM and SIGKILL when the lease has run out
  std::vector<std::string> command;  // the trainer and its arguments
  Environment environment;
  int passed_fd = -1;  // stays open in the rank under the same number; -1 = none
};

// Starts a keeper and waits (a few milliseconds) until it has recorded the rank. Errors carry the
// keeper's own words. Any thread.
absl::StatusOr<RankProcess> start_keeper(const KeeperCommand& command);

// Refers to a process, whoever its parent is: readable when it ends, signals reach no other
// process. NotFound when no process has that pid and start time.
absl::StatusOr<Descriptor> open_process(pid_t pid, unsigned long long start_time);

// True when the process is over, though perhaps not yet collected by its parent.
bool has_ended(const Descriptor& process);

// Sends a signal through a descriptor of open_process. OK when the process is gone already.
absl::Status signal_process(const Descriptor& process, int signal);

}  // namespace lctl::agent
