// The newest value of a metric, as searches compare it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/status.h"
#include "storage/jobs/lineage.h"
#include "storage/metrics/metric_store.h"
#include "storage/metrics/series_rows.h"
#include "storage/sqlite/connection.h"

namespace lctl::storage {

// The value of the last point on the curve, as MetricSummary::last has it; nullopt when there is
// none. Reads the small columns of the series' blocks and the last block. Errors: DataLoss for
// damaged blocks; SQLite::Exception. Caller locks the connection.
absl::StatusOr<std::optional<double>> last_value(Connection& connection, std::int64_t job,
                                                 std::string_view key, const Lineage& lineage);

// The same of a series: the whole point.
absl::StatusOr<std::optional<MetricPoint>> last_point(Connection& connection, const Series& series,
                                                      const Lineage& lineage);

}  // namespace lctl::storage
