#include "storage/tracking/run_rows.h"

#include <fmt/format.h>

#include <utility>

#include "storage/jobs/job_rows.h"
#include "storage/jobs/lineage.h"
#include "storage/jobs/provenance.h"
#include "storage/jobs/search_rows.h"
#include "storage/jobs/texts.h"
#include "storage/metrics/last_value.h"
#include "storage/metrics/series_rows.h"
#include "storage/tracking/text_map.h"

namespace lctl::storage {
namespace {

void read_parameters(Connection& connection, std::int64_t job, Run& run) {
  // Of one key in both sources the reported value comes first.
  Query query =
      connection.query("SELECT key, text FROM job_parameters WHERE job = ?1 ORDER BY key, source");
  query.bind(job);
  while (query.step()) {
    if (!run.parameters.empty() && run.parameters.back().first == query.text(0)) continue;
    run.parameters.emplace_back(query.text(0), query.text(1));
  }
}

absl::Status read_metrics(Connection& connection, const JobRow& job, Run& run) {
  const Lineage lineage = Lineage::load(connection, job);
  for (auto& [series, key] : all_series(connection, job.number)) {
    LCTL_ASSIGN_OR_RETURN(const std::optional<MetricPoint> last,
                          last_point(connection, series, lineage));
    if (!last) continue;
    run.metrics.push_back({.key = std::move(key),
                           .value = last->value,
                           .time_us = last->time_us,
                           .step = last->step});
  }
  return absl::OkStatus();
}

void read_inputs(Connection& connection, std::int64_t job, Run& run) {
  {
    Query query = connection.query(
        "SELECT name, digest, source_type, source, schema, profile, tags FROM run_datasets"
        " WHERE job = ?1 ORDER BY name, digest");
    query.bind(job);
    while (query.step()) {
      run.datasets.push_back({.name = std::string(query.text(0)),
                              .digest = std::string(query.text(1)),
                              .source_type = std::string(query.text(2)),
                              .source = std::string(query.text(3)),
                              .schema = std::string(query.text(4)),
                              .profile = std::string(query.text(5)),
                              .tags = unpack_map(query.text(6))});
    }
  }
  Query query = connection.query(
      "SELECT model, output, step FROM run_models WHERE job = ?1 ORDER BY model, output");
  query.bind(job);
  while (query.step()) {
    run.models.push_back({.model = std::string(query.text(0)),
                          .output = query.integer(1) != 0,
                          .step = query.integer(2)});
  }
}

}  // namespace

absl::StatusOr<Run> read_run(Connection& connection, std::int64_t number) {
  Run run;
  JobRow job{.number = number, .attempt = 0};
  {
    Query query = connection.query(
        "SELECT j.id, j.name, e.id, j.submitted_by, j.origin, j.state, j.started_us,"
        " j.submitted_us, j.finished_us, j.deleted_us, j.attempt FROM jobs j"
        " LEFT JOIN experiments e ON e.name = j.experiment WHERE j.number = ?1");
    query.bind(number);
    if (!query.step()) return absl::InternalError("a run went during a snapshot");
    run.id = JobId(std::string(query.text(0)));
    run.name = std::string(query.text(1));
    run.experiment = query.integer(2);
    run.user = std::string(query.text(3));
    run.origin = query.enumeration<Origin>(4);
    run.state = query.enumeration<v1::JobState>(5);
    run.start_us = query.integer(6) > 0 ? query.integer(6) : query.integer(7);
    run.end_us = query.integer(8);
    run.deleted = query.integer(9) > 0;
    job.attempt = query.small(10);
  }
  run.tags = read_tags(connection, number);
  run.tags.merge(source_tags(connection, number));
  run.note = read_note(connection, number);
  read_parameters(connection, number, run);
  LCTL_RETURN_IF_ERROR(
      with_context(read_metrics(connection, job, run), fmt::format("run {}", run.id.str())));
  read_inputs(connection, number, run);
  return run;
}

absl::StatusOr<RunRow> require_run(Connection& connection, std::string_view id) {
  Query query = connection.query(
      "SELECT j.number, j.origin, j.state, j.deleted_us, e.id FROM jobs j"
      " LEFT JOIN experiments e ON e.name = j.experiment WHERE j.id = ?1");
  query.bind(id);
  if (!query.step()) {
    return absl::NotFoundError(fmt::format("there is no run with the id '{}'", shown(id)));
  }
  return RunRow{.job = query.integer(0),
                .experiment = query.integer(4),
                .origin = query.enumeration<Origin>(1),
                .state = query.enumeration<v1::JobState>(2),
                .deleted = query.integer(3) > 0};
}

absl::StatusOr<RunRow> require_logged_run(Connection& connection, std::string_view id) {
  LCTL_ASSIGN_OR_RETURN(const RunRow run, require_run(connection, id));
  if (run.origin == Origin::kLogged) return run;
  return absl::FailedPreconditionError(fmt::format(
      "run {} is a job submitted to lctl: its metrics, parameters, files and state come "
      "from its own ranks alone; only its tags and note can be set. Log into a run of "
      "your own",
      shown(id)));
}

}  // namespace lctl::storage
