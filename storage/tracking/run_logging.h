// What a script logs into its run, to rows.
#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"
#include "storage/sqlite/connection.h"
#include "storage/tracking/tracking_store.h"

// Errors of SQL are SQLite::Exception; inside a transaction of the writer.
namespace lctl::storage {

// What can be said of a batch without the store: InvalidArgument for keys, texts and times out of
// bounds, a parameter with two values.
absl::Status check_batch(const RunBatch& batch);

// Applies a checked batch. Errors as TrackingStore::log().
absl::Status apply_batch(Connection& connection, const JobId& id, std::int64_t job,
                         const RunBatch& batch);

// Adds points to the curves, but for those that are there: they are compared with the newest
// 16,384 points of the series that are of the same steps.
absl::Status log_points(Connection& connection, const JobId& id, std::int64_t job,
                        std::span<const LoggedPoint> points);

}  // namespace lctl::storage
