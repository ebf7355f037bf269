#include "storage/metrics/last_value.h"

#include "storage/metrics/curve_reading.h"

namespace lctl::storage {

absl::StatusOr<std::optional<double>> last_value(Connection& connection, std::int64_t job,
                                                 std::string_view key, const Lineage& lineage) {
  std::int64_t series = 0;
  {
    Query query = connection.query("SELECT id FROM series WHERE job = ?1 AND key = ?2");
    query.bind(job, key);
    if (!query.step()) return std::nullopt;
    series = query.integer(0);
  }
  LCTL_ASSIGN_OR_RETURN(const Curve curve,
                        Curve::find(connection, {.series = series, .lineage = &lineage}));
  std::optional<double> last;
  LCTL_RETURN_IF_ERROR(curve.visit(
      connection, [](const WholeBlock& block) { return !block.last; },
      [&](const MetricPoint& point) { last = point.value; }));
  return last;
}

}  // namespace lctl::storage
