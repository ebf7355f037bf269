// Whether the coordinator's host is there when the coordinator is not. gRPC says "unavailable" to
// both.
#pragma once

#include <string>

#include "base/clock.h"

namespace lctl::agent {

enum class ServerAnswer {
  kAccepts,  // something listens; whether it still works only a session can tell
  kRefuses,  // the host is there, the program is not
  kSilent,   // nobody answers: host or network down, or its name is not known
};

// Tries one TCP connection to "host:port". Blocks for `patience` at most for each address of the
// host, and as long as a name server takes. Any thread.
ServerAnswer probe_server(const std::string& server, Duration patience);

}  // namespace lctl::agent
