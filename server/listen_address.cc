#include "server/listen_address.h"

#include <fmt/format.h>

namespace lctl::server {

absl::Status check_exposure(const http::ListenAddress& address, bool insecure_allowed) {
  if (insecure_allowed || http::is_loopback(address.host)) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "refusing to listen on {}: without TLS and login, which this version does not have yet, "
      "everybody "
      "who reaches that port could run programs on every node. Listen on 127.0.0.1, or pass "
      "--insecure-listen if every machine of that network is trusted",
      address.str()));
}

}  // namespace lctl::server
