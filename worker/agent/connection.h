// The connection to the coordinator that all calls of the daemon share.
#pragma once

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"

namespace lctl::agent {

// To "host:port". Connects by itself, again and again: after 0.1 s, growing to 2 s.
std::shared_ptr<grpc::Channel> make_channel(const std::string& server);

// Passes the time between two tries of a stream: at most `pause`, less when the connection comes
// back before; at once when `stopping` says so (it is asked every 100 ms). While no call is pending
// nobody but this looks after gRPC's connecting, which would otherwise be noticed seconds late.
void pause_between_tries(grpc::Channel& channel, Duration pause,
                         const std::function<bool()>& stopping);

}  // namespace lctl::agent
