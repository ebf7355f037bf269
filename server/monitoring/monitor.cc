#include "server/monitoring/monitor.h"

#include "base/version.h"
#include "http/prometheus/exposition.h"

namespace lctl::monitoring {

Snapshot Monitor::snapshot() const {
  Snapshot all{.version = kVersion, .started = started_};
  sources_.strand.call([&] {
    all.engine = sources_.engine.view(kMaxJobSeries);
    all.nodes = sources_.nodes.view();
    all.node_use = sources_.engine.node_use();
    for (const auto& [node, drain] : sources_.engine.drains()) all.drained.insert(node);
  });
  all.ingest = sources_.intake.counts();
  all.store = sources_.store.statistics();
  all.garbage = sources_.garbage.counts();
  all.calls = sources_.calls.view();
  all.http_routes = sources_.router.counts();
  all.http = sources_.connections.view();
  return all;
}

http::Response Monitor::metrics() const {
  return {.content_type = prometheus::kContentType, .body = server_metrics(snapshot())};
}

}  // namespace lctl::monitoring
