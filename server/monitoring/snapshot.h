// All that a scrape of the server tells, as one value: gathered by Monitor, written by
// server_metrics().
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "http/router.h"
#include "http/server.h"
#include "server/garbage_collection.h"
#include "server/ingest/intake.h"
#include "server/jobs/engine.h"
#include "server/monitoring/call_view.h"
#include "server/nodes/node_table.h"
#include "storage/store.h"

namespace lctl::monitoring {

struct Snapshot {
  std::string version;
  WallTime started;
  jobs::EngineView engine;
  std::vector<nodes::NodeStatus> nodes;
  std::map<NodeId, jobs::NodeUse> node_use;
  std::set<NodeId> drained;  // nodes that take no new ranks
  ingest::IntakeCounts ingest;
  storage::StoreStatistics store;
  server::GarbageCounts garbage;
  CallView calls;
  std::vector<http::RouteCount> http_routes;
  http::ConnectionView http;
};

// At most so many jobs get series of their own.
inline constexpr std::size_t kMaxJobSeries = 2'000;

// The page /metrics. docs/monitoring.md lists what is on it. Pure.
std::string server_metrics(const Snapshot& snapshot);

}  // namespace lctl::monitoring
