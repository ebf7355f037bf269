#include "worker/agent/metrics_server.h"

#include <utility>

#include "base/version.h"
#include "http/listen_address.h"
#include "http/prometheus/exposition.h"
#include "worker/agent/metrics_page.h"

namespace lctl::agent {

MetricsServer::MetricsServer(Agent& agent, std::map<std::string, int> devices, WallTime started) {
  router_.add({.method = "GET",
               .pattern = "/metrics",
               .handler = [&agent, devices = std::move(devices), started](const http::Request&) {
                 return http::Response{.content_type = prometheus::kContentType,
                                       .body = worker_metrics({.version = kVersion,
                                                               .started = started,
                                                               .devices = devices,
                                                               .agent = agent.view()})};
               }});
}

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::start(
    const std::string& address, Agent& agent, std::map<std::string, int> devices,
    WallTime started) {
  LCTL_ASSIGN_OR_RETURN(const http::ListenAddress wanted, http::parse_listen_address(address));
  std::unique_ptr<MetricsServer> metrics(new MetricsServer(agent, std::move(devices), started));
  LCTL_ASSIGN_OR_RETURN(metrics->server_,
                        http::HttpServer::start({.host = wanted.host,
                                                 .port = wanted.port,
                                                 .router = metrics->router_,
                                                 .connections = metrics->connections_,
                                                 .handler_threads = 1,
                                                 .limits = {.connections = 32}}));
  metrics->address_ = http::ListenAddress{wanted.host, metrics->server_->port()}.str();
  return metrics;
}

}  // namespace lctl::agent
