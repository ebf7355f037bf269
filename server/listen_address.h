// Where the server listens, and whether it may.
#pragma once

#include <string>

#include "base/status.h"

namespace lctl::server {

struct ListenAddress {
  std::string host;  // without brackets
  int port = 0;      // 0 = the kernel picks one

  // "127.0.0.1:7070", "[::1]:7070".
  std::string str() const;
};

// From "HOST:PORT", "[IPV6]:PORT". InvalidArgument with what was expected.
absl::StatusOr<ListenAddress> parse_listen_address(const std::string& text);

// The names and numbers of this machine alone: localhost, 127.0.0.0/8, ::1.
bool is_loopback(const std::string& host);

// There is no encryption and no login yet: whoever reaches the port can run programs on every node.
// So anything but loopback is FailedPrecondition, unless the person has said that the network is
// trusted.
absl::Status check_exposure(const ListenAddress& address, bool insecure_allowed);

}  // namespace lctl::server
