#include "server/mlflow/metrics.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "server/mlflow/run_json.h"
#include "server/mlflow/searches.h"
#include "storage/jobs/job_store.h"
#include "storage/metrics/metric_store.h"

namespace lctl::mlflow {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxPoints = 250'000;  // in one answer; the rest follows by token
constexpr std::size_t kMaxRuns = 100;
constexpr std::int64_t kMaxDrawnPoints = 10'000;

// Nothing for a metric that the run does not have, as MLflow's.
absl::StatusOr<std::vector<storage::MetricPoint>> read(storage::Store& store,
                                                       const storage::MetricQuery& query) {
  // A run that is not there is another matter.
  LCTL_RETURN_IF_ERROR(store.jobs().origin(query.job).status());
  auto points = store.metrics().read(query);
  if (absl::IsNotFound(points.status())) return std::vector<storage::MetricPoint>();
  return points;
}

}  // namespace

absl::StatusOr<json> Metrics::get_history(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(std::string id, request.text("run_id", "run_uuid"));
  storage::MetricQuery query{.job = JobId(std::move(id))};
  LCTL_ASSIGN_OR_RETURN(query.key, request.text("metric_key"));
  LCTL_ASSIGN_OR_RETURN(query.skip, page_begin_in(request));
  LCTL_ASSIGN_OR_RETURN(const std::int64_t wanted, request.integer_or("max_results", kMaxPoints));
  const std::int64_t size = std::clamp<std::int64_t>(wanted, 1, kMaxPoints);
  query.limit = size + 1;
  LCTL_ASSIGN_OR_RETURN(std::vector<storage::MetricPoint> points, read(store_, query));
  const bool more = std::ssize(points) > size;
  if (more) points.pop_back();
  json list = json::array();
  for (const storage::MetricPoint& point : points) {
    list.push_back(json_of_metric(query.key, point.value, point.time_us, point.step));
  }
  json page = {{"metrics", std::move(list)}};
  if (more) page["next_page_token"] = std::to_string(query.skip + size);
  return page;
}

absl::StatusOr<json> Metrics::get_history_bulk_interval(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const auto runs, request.texts("run_ids", kMaxRuns));
  storage::MetricQuery query;
  LCTL_ASSIGN_OR_RETURN(query.key, request.text("metric_key"));
  LCTL_ASSIGN_OR_RETURN(query.from_step, request.integer_or("start_step", query.from_step));
  LCTL_ASSIGN_OR_RETURN(const std::int64_t end, request.integer_or("end_step", -1));
  if (end >= 0 && end < std::numeric_limits<std::int64_t>::max()) query.to_step = end + 1;
  LCTL_ASSIGN_OR_RETURN(const std::int64_t wanted, request.integer_or("max_results", 320));
  query.max_points = static_cast<int>(std::clamp<std::int64_t>(wanted, 4, kMaxDrawnPoints));
  json list = json::array();
  for (const std::string& run : runs) {
    query.job = JobId(run);
    LCTL_ASSIGN_OR_RETURN(const auto points, read(store_, query));
    for (const storage::MetricPoint& point : points) {
      json entry = json_of_metric(query.key, point.value, point.time_us, point.step);
      entry["run_id"] = run;
      list.push_back(std::move(entry));
    }
  }
  return json{{"metrics", std::move(list)}};
}

}  // namespace lctl::mlflow
