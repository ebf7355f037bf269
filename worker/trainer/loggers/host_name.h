// The name of this machine.
#pragma once

#include <string>

namespace lctl {

// "localhost" when it has none.
std::string host_name();

}  // namespace lctl
