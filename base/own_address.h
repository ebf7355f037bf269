// Where this machine is reached by those who reach another host.
#pragma once

#include <string>

namespace lctl {

// The address that packets to `host` (a name or an address, without port) leave from, as numbers;
// "" when that cannot be told, as for a name that is not known. Sends nothing, but may ask a name
// server and wait for it. Thread rule: any thread.
std::string own_address_towards(const std::string& host);

}  // namespace lctl
