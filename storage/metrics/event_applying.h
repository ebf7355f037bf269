// What each kind of event changes in the store.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/status.h"
#include "storage/jobs/job_rows.h"
#include "storage/metrics/event_store.h"
#include "storage/sqlite/connection.h"

namespace lctl::storage {

struct ApplyOptions {
  std::int64_t now_us = 0;
  int max_keys = 0;  // of a job's metrics; 0 = no limit
};

// Applies, in order, the events of `stream` that start at `first_offset` or behind it.
// Returns what was left out, in words ("" = nothing). InvalidArgument when the keys and values of a
// MetricPoints differ in number. Errors of SQL are SQLite::Exception; inside a transaction of the
// writer, which is undone when this fails.
absl::StatusOr<std::string> apply_events(Connection& connection, const JobRow& job,
                                         const StreamKey& stream,
                                         std::span<const SpooledEvent> events,
                                         std::uint64_t first_offset, const ApplyOptions& options);

}  // namespace lctl::storage
