// Whether the server may listen there.
#pragma once

#include "base/status.h"
#include "http/listen_address.h"

namespace lctl::server {

// There is no encryption and no login yet: whoever reaches the port can run programs on every node.
// So anything but loopback is FailedPrecondition, unless the person has said that the network is
// trusted.
absl::Status check_exposure(const http::ListenAddress& address, bool insecure_allowed);

}  // namespace lctl::server
