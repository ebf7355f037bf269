#include "storage/metrics/sqlite_metric_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "storage/jobs/job_rows.h"
#include "storage/jobs/lineage.h"
#include "storage/metrics/downsample.h"
#include "storage/metrics/nearest_key.h"

namespace lctl::storage {
namespace {

// A job with very many keys gets no suggestion rather than a slow error.
constexpr int kMaxSuggestionKeys = 500;

struct Selection {
  std::int64_t series = 0;
  std::int64_t from_step = std::numeric_limits<std::int64_t>::min();
  std::int64_t last_step = std::numeric_limits<std::int64_t>::max();  // inclusive
  const Lineage* lineage = nullptr;  // null = superseded points too
};

// Calls `visit` for each selected point in order.
void scan(Connection& connection, const Selection& selection,
          absl::FunctionRef<void(const MetricPoint&)> visit) {
  Query query = connection.query(
      "SELECT step, attempt, spool_offset, epoch, time_us, value FROM points"
      " WHERE series = ?1 AND step >= ?2 AND step <= ?3"
      " ORDER BY step, attempt, spool_offset, ordinal");
  query.bind(selection.series, selection.from_step, selection.last_step);
  while (query.step()) {
    const AttemptNumber attempt = query.small(1);
    if (selection.lineage && !selection.lineage->holds_event(attempt, query.offset(2))) continue;
    visit({.step = query.integer(0),
           .epoch = query.integer(3),
           .time_us = query.integer(4),
           .value = query.real(5),
           .attempt = attempt});
  }
}

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

absl::StatusOr<Selection> select(Connection& connection, const MetricQuery& wanted,
                                 std::int64_t job) {
  Query query = connection.query("SELECT id FROM series WHERE job = ?1 AND key = ?2");
  query.bind(job, wanted.key);
  if (!query.step()) return unknown_key(connection, wanted, job);
  Selection selection{.series = query.integer(0), .from_step = wanted.from_step};
  if (wanted.to_step > 0) selection.last_step = wanted.to_step - 1;
  return selection;
}

// Adds one point of the curve to the summary.
void include(MetricSummary& summary, const MetricPoint& point) {
  summary.points += 1;
  summary.last = point;
  if (!std::isfinite(point.value)) return;
  // The negated comparisons are true for the NaN of "none yet".
  if (!(summary.min <= point.value)) summary.min = point.value;
  if (!(summary.max >= point.value)) summary.max = point.value;
}

}  // namespace

absl::StatusOr<std::vector<MetricPoint>> SqliteMetricStore::read(const MetricQuery& wanted) const {
  if (wanted.max_points < 0 || (wanted.max_points > 0 && wanted.max_points < 4)) {
    return absl::InvalidArgumentError(
        fmt::format("max_points is {}; it must be 0 (all) or at least 4", wanted.max_points));
  }
  return database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<MetricPoint>> {
    LCTL_ASSIGN_OR_RETURN(const JobRow job, require_job(connection, wanted.job.str()));
    LCTL_ASSIGN_OR_RETURN(Selection selection, select(connection, wanted, job.number));
    const Lineage lineage = Lineage::load(connection, job);
    if (!wanted.include_superseded) selection.lineage = &lineage;

    std::vector<MetricPoint> points;
    if (wanted.max_points == 0) {
      scan(connection, selection, [&](const MetricPoint& point) { points.push_back(point); });
      return points;
    }
    // Two passes in one snapshot, so that a long series never lies in memory as a whole.
    std::int64_t total = 0;
    scan(connection, selection, [&](const MetricPoint&) { total += 1; });
    Downsampler downsampler(total, wanted.max_points);
    scan(connection, selection, [&](const MetricPoint& point) { downsampler.add(point); });
    return downsampler.finish();
  });
}

absl::StatusOr<std::vector<MetricSummary>> SqliteMetricStore::summaries(const JobId& id) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<MetricSummary>> {
    LCTL_ASSIGN_OR_RETURN(const JobRow job, require_job(connection, id.str()));
    const Lineage lineage = Lineage::load(connection, job);
    std::vector<std::pair<std::int64_t, std::string>> series;
    {
      Query query = connection.query("SELECT id, key FROM series WHERE job = ?1 ORDER BY key");
      query.bind(job.number);
      while (query.step()) series.emplace_back(query.integer(0), query.text(1));
    }
    std::vector<MetricSummary> summaries;
    for (auto& [number, key] : series) {
      constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
      MetricSummary summary{.key = std::move(key), .min = kNone, .max = kNone};
      scan(connection, {.series = number, .lineage = &lineage},
           [&](const MetricPoint& point) { include(summary, point); });
      if (summary.points > 0) summaries.push_back(std::move(summary));
    }
    return summaries;
  });
}

}  // namespace lctl::storage
