// Serves the worker's /metrics over HTTP.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "http/router.h"
#include "http/server.h"
#include "worker/agent/agent.h"

namespace lctl::agent {

// It answers with numbers and changes nothing, so it may listen on any address.
// Thread rule: start and destroy from one thread.
class MetricsServer {
 public:
  // `address` is HOST:PORT, port 0 = the kernel picks one. `agent` outlives it. InvalidArgument, or
  // Unavailable when it cannot listen there.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> start(const std::string& address,
                                                              Agent& agent,
                                                              std::map<std::string, int> devices,
                                                              WallTime started);

  // HOST:PORT with the real port.
  const std::string& address() const { return address_; }

 private:
  MetricsServer(Agent& agent, std::map<std::string, int> devices, WallTime started);

  std::string address_;
  http::Router router_;
  http::ConnectionCounts connections_;
  std::unique_ptr<http::HttpServer> server_;
};

}  // namespace lctl::agent
