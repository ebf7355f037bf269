// This machine as `lctl up` sees it: its cores, who listens on a port, which processes are left.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace lctl::cli {

// Numbers of the cores that this process may use, ascending.
std::vector<int> usable_cores();

// The cores of worker `index` of `workers`: equal shares, the first ones one more; all cores when
// there are fewer cores than workers.
std::vector<int> share_of_cores(const std::vector<int>& cores, int index, int workers);

struct HostPort {
  std::string host;
  int port = 0;  // 0 = the kernel chooses
};

// "127.0.0.1:7070"; InvalidArgument with what is wrong.
absl::Status parse_host_port(const std::string& text, HostPort& result);

// AlreadyExists when something listens there; OK otherwise, also when the question cannot be
// answered (the server will say why it cannot listen).
absl::Status check_port_free(const HostPort& address);

// "lctl-server (process 1234)" of who listens on that TCP port here; "" when it cannot be seen.
std::string who_listens(int port);

// Kills every child of this process, and theirs that come to it (it is their subreaper), until none
// is left. The number of those killed.
int kill_all_children();

}  // namespace lctl::cli
