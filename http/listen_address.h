// Where a program listens: "HOST:PORT".
#pragma once

#include <string>

#include "base/status.h"

namespace lctl::http {

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

}  // namespace lctl::http
