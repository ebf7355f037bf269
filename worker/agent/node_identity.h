// Who this node is.
#pragma once

#include <filesystem>
#include <string>

#include "base/id.h"
#include "base/status.h"

namespace lctl::agent {

// The id kept in <data_dir>/node_id; made (and synced) at the first call. Errors name the file.
absl::StatusOr<NodeId> load_or_make_node_id(const std::filesystem::path& data_dir);

// One agent per data folder: holds a lock on <data_dir>/lock until the process ends. Unavailable,
// with the holder's pid, when another agent has it.
absl::Status lock_data_dir(const std::filesystem::path& data_dir);

std::string host_name();

// The local address that packets to `server` ("host:port") leave from: how other nodes, which reach
// the same server, can be expected to reach this one. The host name when it cannot be told.
std::string address_towards(const std::string& server);

bool is_loopback(const std::string& address);

}  // namespace lctl::agent
