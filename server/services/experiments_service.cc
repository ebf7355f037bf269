#include "server/services/experiments_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "server/services/log_reading.h"
#include "server/services/status.h"
#include "storage/jobs/job_store.h"
#include "storage/metrics/metric_store.h"

namespace lctl::services {
namespace {

constexpr std::size_t kMaxKeyBytes = 512;
// About 60 MB of an answer; a drawing needs thousands, not millions.
constexpr std::size_t kMaxPoints = 2'000'000;

v1::MetricPoint message_of_point(const storage::MetricPoint& point) {
  v1::MetricPoint message;
  message.set_step(point.step);
  message.set_epoch(point.epoch);
  message.set_time_us(point.time_us);
  message.set_value(point.value);
  message.set_attempt(point.attempt);
  return message;
}

bool is_final(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_STOPPED;
}

}  // namespace

grpc::Status ExperimentsService::List(grpc::ServerContext*, const v1::ListExperimentsRequest*,
                                      v1::ListExperimentsResponse* response) {
  LCTL_GRPC_ASSIGN_OR_RETURN(const std::vector<storage::JobStore::ExperimentRow> rows,
                             store_.jobs().experiments());
  for (const storage::JobStore::ExperimentRow& row : rows) {
    v1::Experiment& experiment = *response->add_experiments();
    experiment.set_name(row.name);
    experiment.set_jobs(row.jobs);
    experiment.set_last_submitted_us(row.last_submitted_us);
  }
  return grpc::Status::OK;
}

grpc::Status ExperimentsService::ListMetrics(grpc::ServerContext*,
                                             const v1::ListMetricsRequest* request,
                                             v1::ListMetricsResponse* response) {
  LCTL_GRPC_ASSIGN_OR_RETURN(const JobId job, store_.jobs().resolve(request->job()));
  LCTL_GRPC_ASSIGN_OR_RETURN(const std::vector<storage::MetricSummary> summaries,
                             store_.metrics().summaries(job));
  for (const storage::MetricSummary& summary : summaries) {
    v1::MetricSummary& message = *response->add_metrics();
    message.set_key(summary.key);
    message.set_points(summary.points);
    *message.mutable_last() = message_of_point(summary.last);
    message.set_min(summary.min);
    message.set_max(summary.max);
    message.set_measured_by_nodes(summary.measured_by_nodes);
  }
  return grpc::Status::OK;
}

grpc::Status ExperimentsService::GetMetric(grpc::ServerContext*,
                                           const v1::GetMetricRequest* request,
                                           v1::GetMetricResponse* response) {
  if (request->key().empty() || request->key().size() > kMaxKeyBytes) {
    return {grpc::StatusCode::INVALID_ARGUMENT,
            fmt::format("a metric's key of {} bytes; 1 to {} are allowed", request->key().size(),
                        kMaxKeyBytes)};
  }
  LCTL_GRPC_ASSIGN_OR_RETURN(const JobId job, store_.jobs().resolve(request->job()));
  storage::MetricQuery query{.job = job,
                             .key = request->key(),
                             .to_step = request->to_step(),
                             .max_points = request->max_points(),
                             .include_superseded = request->include_superseded()};
  // 0 = from the beginning, which may lie before step 0 in what a script of its own logs.
  if (request->from_step() != 0) query.from_step = request->from_step();
  LCTL_GRPC_ASSIGN_OR_RETURN(const std::vector<storage::MetricPoint> points,
                             store_.metrics().read(query));
  if (points.size() > kMaxPoints) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            fmt::format("'{}' has {} points, an answer holds at most {}: ask for a range of steps, "
                        "or give max_points",
                        request->key(), points.size(), kMaxPoints)};
  }
  response->mutable_points()->Reserve(static_cast<int>(points.size()));
  for (const storage::MetricPoint& point : points) {
    *response->add_points() = message_of_point(point);
  }
  return grpc::Status::OK;
}

grpc::Status ExperimentsService::GetLogs(grpc::ServerContext* context,
                                         const v1::GetLogsRequest* request,
                                         grpc::ServerWriter<v1::LogChunk>* writer) {
  OpenCall call(calls_, *context);
  LCTL_GRPC_RETURN_IF_ERROR(check_logs_request(*request));
  LCTL_GRPC_ASSIGN_OR_RETURN(const JobId job, store_.jobs().resolve(request->job()));
  LCTL_GRPC_ASSIGN_OR_RETURN(LogReading reading, LogReading::begin(store_.events(), job, *request));
  while (!call.cancelled()) {
    // Before the text: all output of a job that is final by now is in the store by now.
    LCTL_GRPC_ASSIGN_OR_RETURN(const v1::Job now, store_.jobs().get(job));
    while (!call.cancelled()) {
      LCTL_GRPC_ASSIGN_OR_RETURN(const std::vector<v1::LogChunk> chunks, reading.next());
      if (chunks.empty()) break;
      for (const v1::LogChunk& chunk : chunks) {
        if (!writer->Write(chunk)) return {grpc::StatusCode::CANCELLED, "the client is gone"};
      }
    }
    if (!request->follow() || is_final(now.state())) return grpc::Status::OK;
    if (!call.sleep(options_.poll)) break;
  }
  return {grpc::StatusCode::CANCELLED, "the call was ended"};
}

}  // namespace lctl::services
