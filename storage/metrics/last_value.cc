#include "storage/metrics/last_value.h"

#include "storage/metrics/curve_reading.h"
#include "storage/metrics/series_rows.h"

namespace lctl::storage {

absl::StatusOr<std::optional<double>> last_value(Connection& connection, std::int64_t job,
                                                 std::string_view key, const Lineage& lineage) {
  const std::optional<Series> series = find_series(connection, job, key);
  if (!series.has_value()) return std::nullopt;
  LCTL_ASSIGN_OR_RETURN(const std::optional<MetricPoint> last,
                        last_point(connection, *series, lineage));
  return last ? std::optional<double>(last->value) : std::nullopt;
}

absl::StatusOr<std::optional<MetricPoint>> last_point(Connection& connection, const Series& series,
                                                      const Lineage& lineage) {
  LCTL_ASSIGN_OR_RETURN(
      const Curve curve,
      Curve::find(connection, {.series = series.id, .lineage = series.lineage(lineage)}));
  std::optional<MetricPoint> last;
  LCTL_RETURN_IF_ERROR(curve.visit(
      connection, [](const WholeBlock& block) { return !block.last; },
      [&](const MetricPoint& point) { last = point; }));
  return last;
}

}  // namespace lctl::storage
