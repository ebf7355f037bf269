#include "storage/metrics/sqlite_metric_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "storage/jobs/job_rows.h"
#include "storage/jobs/lineage.h"
#include "storage/metrics/curve_reading.h"
#include "storage/metrics/downsample.h"
#include "storage/metrics/nearest_key.h"
#include "storage/metrics/series_rows.h"

namespace lctl::storage {
namespace {

// A job with very many keys gets no suggestion rather than a slow error.
constexpr int kMaxSuggestionKeys = 500;

absl::Status unknown_key(Connection& connection, const MetricQuery& wanted, std::int64_t job) {
  std::vector<std::string> keys;
  Query query = connection.query("SELECT key FROM series WHERE job = ?1 ORDER BY key LIMIT ?2");
  query.bind(job, kMaxSuggestionKeys);
  while (query.step()) keys.emplace_back(query.text(0));
  const std::string nearest = nearest_key(wanted.key, keys);
  std::string hint;
  if (keys.empty()) {
    hint = ": it has logged none yet";
  } else if (nearest.empty()) {
    hint = fmt::format("; it has {} others, such as '{}'", keys.size(), keys.front());
  } else {
    hint = fmt::format("; did you mean '{}'?", nearest);
  }
  return absl::NotFoundError(
      fmt::format("job {} has no metric '{}'{}", wanted.job.str(), wanted.key, hint));
}

// `lineage` outlives the result.
absl::StatusOr<CurveSelection> select(Connection& connection, const MetricQuery& wanted,
                                      std::int64_t job, const Lineage& lineage) {
  const std::optional<Series> series = find_series(connection, job, wanted.key);
  if (!series.has_value()) return unknown_key(connection, wanted, job);
  CurveSelection selection{.series = series->id, .first_step = wanted.from_step};
  if (wanted.to_step > 0) selection.last_step = wanted.to_step - 1;
  if (!wanted.include_superseded) selection.lineage = series->lineage(lineage);
  return selection;
}

// The negated comparisons are true for the NaN of "none yet".
void include_value(MetricSummary& summary, double value) {
  if (!std::isfinite(value)) return;
  if (!(summary.min <= value)) summary.min = value;
  if (!(summary.max >= value)) summary.max = value;
}

// Whether the summary of a block says all that that of a series needs: finite extremes, and the
// last point is not its.
bool include_block(MetricSummary& summary, const WholeBlock& block) {
  const auto infinite = [](const std::optional<BlockSummary::Extreme>& extreme) {
    return extreme.has_value() && !std::isfinite(extreme->point.value);
  };
  if (block.last || infinite(block.summary.smallest) || infinite(block.summary.largest))
    return false;
  summary.points += block.points;
  if (block.summary.smallest) include_value(summary, block.summary.smallest->point.value);
  if (block.summary.largest) include_value(summary, block.summary.largest->point.value);
  return true;
}

// The page of a curve that `wanted` asks for. Blocks before and behind it are not read.
absl::StatusOr<std::vector<MetricPoint>> read_page(Connection& connection, const Curve& curve,
                                                   const MetricQuery& wanted) {
  std::int64_t left = wanted.limit > 0 ? std::min(wanted.limit, curve.points()) : curve.points();
  std::int64_t skipped = 0;
  std::vector<MetricPoint> points;
  points.reserve(static_cast<std::size_t>(left));
  LCTL_RETURN_IF_ERROR(curve.visit(
      connection,
      [&](const WholeBlock& block) {
        if (left == 0) return true;
        if (skipped + block.points > wanted.skip) return false;
        skipped += block.points;
        return true;
      },
      [&](const MetricPoint& point) {
        if (skipped < wanted.skip) {
          ++skipped;
        } else if (left > 0) {
          points.push_back(point);
          --left;
        }
      }));
  return points;
}

}  // namespace

absl::StatusOr<std::vector<MetricPoint>> SqliteMetricStore::read(const MetricQuery& wanted) const {
  if (wanted.max_points < 0 || (wanted.max_points > 0 && wanted.max_points < 4)) {
    return absl::InvalidArgumentError(
        fmt::format("max_points is {}; it must be 0 (all) or at least 4", wanted.max_points));
  }
  if (wanted.skip < 0 || wanted.limit < 0) {
    return absl::InvalidArgumentError(
        fmt::format("skip is {} and limit {}; neither can be below 0", wanted.skip, wanted.limit));
  }
  return database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<MetricPoint>> {
    LCTL_ASSIGN_OR_RETURN(const JobRow job, require_job(connection, wanted.job.str()));
    const Lineage lineage = Lineage::load(connection, job);
    LCTL_ASSIGN_OR_RETURN(const CurveSelection selection,
                          select(connection, wanted, job.number, lineage));
    LCTL_ASSIGN_OR_RETURN(const Curve curve, Curve::find(connection, selection));
    if (wanted.max_points == 0) return read_page(connection, curve, wanted);
    Downsampler downsampler(curve.points(), wanted.max_points);
    LCTL_RETURN_IF_ERROR(curve.visit(
        connection, [&](const WholeBlock& block) { return downsampler.add_whole(block); },
        [&](const MetricPoint& point) { downsampler.add(point); }));
    return downsampler.finish();
  });
}

absl::StatusOr<std::vector<MetricSummary>> SqliteMetricStore::summaries(const JobId& id) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<MetricSummary>> {
    LCTL_ASSIGN_OR_RETURN(const JobRow job, require_job(connection, id.str()));
    const Lineage lineage = Lineage::load(connection, job);
    std::vector<MetricSummary> summaries;
    for (auto& [series, key] : all_series(connection, job.number)) {
      constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
      MetricSummary summary{.key = std::move(key),
                            .min = kNone,
                            .max = kNone,
                            .measured_by_nodes = series.source == SeriesSource::kNode};
      LCTL_ASSIGN_OR_RETURN(
          const Curve curve,
          Curve::find(connection, {.series = series.id, .lineage = series.lineage(lineage)}));
      LCTL_RETURN_IF_ERROR(curve.visit(
          connection, [&](const WholeBlock& block) { return include_block(summary, block); },
          [&](const MetricPoint& point) {
            summary.points += 1;
            summary.last = point;
            include_value(summary, point.value);
          }));
      if (summary.points > 0) summaries.push_back(std::move(summary));
    }
    return summaries;
  });
}

}  // namespace lctl::storage
