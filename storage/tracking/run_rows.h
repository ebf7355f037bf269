// Reading runs.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "storage/sqlite/connection.h"
#include "storage/tracking/tracking_store.h"

// Errors of SQL are SQLite::Exception; the caller locks the connection and has a transaction open.
namespace lctl::storage {

// The whole run by its job's number. Of a submitted job the parameters are its hyper-parameters as
// reported, and what its job file says beyond them.
absl::StatusOr<Run> read_run(Connection& connection, std::int64_t job);

// What decides whether a run may be changed.
struct RunRow {
  std::int64_t job = 0;         // jobs.number
  std::int64_t experiment = 0;  // experiments.id
  Origin origin = Origin::kSubmitted;
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  bool deleted = false;
};

// NotFound for an unknown run.
absl::StatusOr<RunRow> require_run(Connection& connection, std::string_view id);

// The same, and FailedPrecondition for a submitted job.
absl::StatusOr<RunRow> require_logged_run(Connection& connection, std::string_view id);

}  // namespace lctl::storage
