// What a rank finds in its environment (docs/formats/launch.md).
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "proto/lctl/v1/session.pb.h"

namespace lctl::agent {

// Sorted by name, so that equal launches give equal environments.
using Environment = std::map<std::string, std::string>;

struct RankPlace {
  std::string master_address;  // rank 0's node
  int master_port = 0;
  int rendezvous_fd = -1;             // >= 0: this rank gets the listening socket under that number
  std::filesystem::path rank_folder;  // of this rank
  std::filesystem::path resume_file;  // "" = from the beginning
  int local_world_size = 1;
  int node_cpus = 1;  // cores to share when the job does not say
};

// `inherited`, overlaid by the job's own variables, overlaid by the contract's. The thread counts
// are the one thing of the contract that a job may set itself; LCTL_ names of a job are dropped.
// Pure.
Environment rank_environment(const v1::Launch& launch, const v1::RankAssignment& rank,
                             const RankPlace& place, Environment inherited);

// This process's environment, without variables that belong to the daemon itself (systemd's,
// LCTL_*).
Environment inherited_environment();

}  // namespace lctl::agent
