// The processes of a run: which rank this one is, and the further ranks of this machine.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/strategies/strategy.h"

namespace lctl {

// What torchrun's variables (RANK, LOCAL_RANK, WORLD_SIZE, …) say; empty when LOCAL_RANK or RANK is
// not set: the process was started alone. Throws std::invalid_argument naming the variable for
// values that are no numbers or do not fit together.
struct LaunchedRank {
  RankLayout layout;
  Rendezvous rendezvous;
};
std::optional<LaunchedRank> launched_rank();

// The further ranks of a run that was started alone. They run the same command line with torchrun's
// variables set; they get SIGTERM when this process dies, and its SIGTERM is passed on to them.
// Thread rule: one strand only (the main thread).
class LocalRanks {
 public:
  // Starts ranks 1..count-1. Throws std::system_error when a process cannot be started.
  LocalRanks(int count, const std::vector<std::string>& command_line);
  // Kills what still runs.
  ~LocalRanks();
  LocalRanks(const LocalRanks&) = delete;
  LocalRanks& operator=(const LocalRanks&) = delete;

  // Rank 0's own place; its socket already listens.
  LaunchedRank rank_zero() const;

  // Waits for all; returns the first non-zero exit status (128 + signal for a signal), else 0.
  int wait();

 private:
  int count_;
  int listen_fd_ = -1;
  int port_ = 0;
  std::vector<pid_t> children_;
};

}  // namespace lctl
