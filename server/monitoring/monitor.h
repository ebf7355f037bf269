// Gathers what a scrape of the server tells.
#pragma once

#include <string>

#include "base/clock.h"
#include "http/message.h"
#include "http/router.h"
#include "http/server.h"
#include "server/garbage_collection.h"
#include "server/ingest/intake.h"
#include "server/jobs/engine.h"
#include "server/jobs/strand.h"
#include "server/monitoring/call_counts.h"
#include "server/monitoring/snapshot.h"
#include "server/nodes/node_table.h"
#include "storage/store.h"

namespace lctl::monitoring {

// A scrape asks the engine's strand once, for a copy of what it needs; all else are counters that
// are read as they are. Thread rule: internally locked, not from the engine's strand.
class Monitor {
 public:
  // All outlive the monitor.
  struct Sources {
    jobs::Strand& strand;
    const jobs::JobsEngine& engine;
    const nodes::NodeTable& nodes;
    const ingest::Intake& intake;
    const storage::Store& store;
    const server::GarbageCollection& garbage;
    const CallCounts& calls;
    const http::Router& router;
    const http::ConnectionCounts& connections;
  };

  Monitor(Sources sources, WallTime started) : sources_(sources), started_(started) {}

  Snapshot snapshot() const;

  // GET /metrics.
  http::Response metrics() const;

 private:
  const Sources sources_;
  const WallTime started_;
};

}  // namespace lctl::monitoring
