// New points of a series to their blocks.
#pragma once

#include <cstdint>
#include <vector>

#include "base/id.h"
#include "base/status.h"
#include "storage/metrics/point_block.h"
#include "storage/sqlite/connection.h"

namespace lctl::storage {

// Appends points, in the order of their offsets and behind all that the series has of the attempt.
// Small blocks at its end are packed anew together with them, so that a curve of points that came
// one by one ends in large blocks all the same: a point is written about five times in its life.
// DataLoss for a damaged block. Errors of SQL: SQLite::Exception. Caller locks the connection.
absl::Status append_points(Connection& connection, std::int64_t series, AttemptNumber attempt,
                           std::vector<BlockPoint> points);

}  // namespace lctl::storage
