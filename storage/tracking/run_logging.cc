#include "storage/tracking/run_logging.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "storage/jobs/search_rows.h"
#include "storage/jobs/texts.h"
#include "storage/metrics/block_writing.h"
#include "storage/metrics/series_rows.h"
#include "storage/search/parameters.h"
#include "storage/tracking/text_map.h"

namespace lctl::storage {
namespace {

// As for spooled metrics (server/ingest).
constexpr std::size_t kMaxMetricKeyBytes = 512;
constexpr std::size_t kMaxDatasetTextBytes = 16 << 20;  // MLflow's: of schema and profile
constexpr std::size_t kMaxDatasetNameBytes = 500;

// The attempt of all that a script logs.
constexpr AttemptNumber kLoggedAttempt = 1;

// What makes a point this point.
using Identity = std::tuple<std::int64_t, std::int64_t, std::uint64_t>;

Identity identity_of(const BlockPoint& point) {
  // All NaN are one.
  const std::uint64_t bits =
      std::isnan(point.value) ? ~std::uint64_t{0} : std::bit_cast<std::uint64_t>(point.value);
  return {point.step, point.time_us, bits};
}

// Takes out what the series has already, and repeats.
absl::Status remove_known(Connection& connection, std::int64_t series,
                          std::vector<BlockPoint>& points) {
  std::set<Identity> seen;
  const auto [first, last] = std::minmax_element(
      points.begin(), points.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  // A script's steps nearly always grow: then no block is found.
  Query query = connection.query(
      "SELECT points, data FROM point_blocks WHERE series = ?1 AND attempt = ?2 AND last_step >= ?3"
      " AND first_step <= ?4 ORDER BY first_offset DESC LIMIT 8");
  query.bind(series, kLoggedAttempt, first->step, last->step);
  while (query.step()) {
    LCTL_ASSIGN_OR_RETURN(const std::vector<BlockPoint> block,
                          unpack(query.blob(1), query.integer(0)));
    for (const BlockPoint& point : block) seen.insert(identity_of(point));
  }
  std::erase_if(points,
                [&](const BlockPoint& point) { return !seen.insert(identity_of(point)).second; });
  return absl::OkStatus();
}

absl::Status check_number_of_series(Connection& connection, std::int64_t job) {
  Query query = connection.query("SELECT count(*) FROM series WHERE job = ?1");
  query.bind(job);
  query.step();
  if (query.integer(0) <= static_cast<std::int64_t>(kMaxMetricsOfRun)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("the run would have {} metrics; at most {} are allowed: log what varies as steps "
                  "of one metric",
                  query.integer(0), kMaxMetricsOfRun));
}

absl::Status log_parameters(Connection& connection, const JobId& id, std::int64_t job,
                            std::span<const std::pair<std::string, std::string>> parameters) {
  for (const auto& [key, value] : parameters) {
    {
      Query query = connection.query(
          "SELECT text FROM job_parameters WHERE job = ?1 AND source = ?2 AND key = ?3");
      query.bind(job, ParameterSource::kHyperparameters, key);
      if (query.step()) {
        if (query.text(0) == value) continue;
        return absl::InvalidArgumentError(
            fmt::format("Changing param values is not allowed. Param with key='{}' was already "
                        "logged with value='{}' for run ID='{}'. Attempted logging new value '{}'.",
                        shown(key), shown(query.text(0)), id.str(), shown(value)));
      }
    }
    add_parameter(connection, job, ParameterSource::kHyperparameters, plain_parameter(key, value));
  }
  Query query =
      connection.query("SELECT count(*) FROM job_parameters WHERE job = ?1 AND source = ?2");
  query.bind(job, ParameterSource::kHyperparameters);
  query.step();
  if (query.integer(0) <= static_cast<std::int64_t>(kMaxParametersOfRun)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("the run would have {} params; at most {} are "
                  "allowed",
                  query.integer(0), kMaxParametersOfRun));
}

absl::Status log_inputs(Connection& connection, std::int64_t job, const RunBatch& batch) {
  for (const Dataset& dataset : batch.datasets) {
    connection
        .query(
            "INSERT INTO run_datasets (job, name, digest, source_type, source, schema, profile,"
            " tags) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
            " ON CONFLICT (job, name, digest) DO UPDATE SET tags = excluded.tags")
        .bind(job, dataset.name, dataset.digest, dataset.source_type, dataset.source,
              dataset.schema, dataset.profile, pack_map(dataset.tags))
        .run();
  }
  for (const RunModel& model : batch.models) {
    connection
        .query(
            "INSERT OR REPLACE INTO run_models (job, model, output, step) VALUES (?1, ?2, ?3, ?4)")
        .bind(job, model.model, model.output, model.step)
        .run();
  }
  Query query = connection.query(
      "SELECT (SELECT count(*) FROM run_datasets WHERE job = ?1)"
      " + (SELECT count(*) FROM run_models WHERE job = ?1)");
  query.bind(job);
  query.step();
  if (query.integer(0) <= static_cast<std::int64_t>(kMaxInputsOfRun)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("the run would have {} datasets and models; at most {} are allowed",
                  query.integer(0), kMaxInputsOfRun));
}

absl::Status log_labels(Connection& connection, std::int64_t job, const RunBatch& batch) {
  const LabelChange& labels = batch.labels;
  if (labels.tags.empty() && labels.removed_tags.empty() && !labels.note && !batch.name) {
    return absl::OkStatus();
  }
  LCTL_ASSIGN_OR_RETURN(const Tags tags, apply_change(read_tags(connection, job), labels));
  write_tags(connection, job, tags);
  if (labels.note) write_note(connection, job, *labels.note);
  if (batch.name) {
    connection.query("UPDATE jobs SET name = ?2 WHERE number = ?1").bind(job, *batch.name).run();
  }
  write_texts(connection, job);
  return absl::OkStatus();
}

absl::Status check_dataset(const Dataset& dataset) {
  LCTL_RETURN_IF_ERROR(check_line("the dataset's name", dataset.name, kMaxDatasetNameBytes));
  LCTL_RETURN_IF_ERROR(check_line("the dataset's digest", dataset.digest, kMaxDatasetNameBytes));
  LCTL_RETURN_IF_ERROR(
      check_text("the dataset's source type", dataset.source_type, kMaxDatasetNameBytes));
  for (const std::string* text : {&dataset.source, &dataset.schema, &dataset.profile}) {
    LCTL_RETURN_IF_ERROR(
        check_text("a dataset's source, schema or profile", *text, kMaxDatasetTextBytes));
  }
  return check_change({.tags = dataset.tags, .removed_tags = {}, .note = {}});
}

}  // namespace

absl::Status check_batch(const RunBatch& batch) {
  for (const LoggedPoint& point : batch.points) {
    LCTL_RETURN_IF_ERROR(check_line("the metric's key", point.key, kMaxMetricKeyBytes));
  }
  std::map<std::string_view, std::string_view> values;
  for (const auto& [key, value] : batch.parameters) {
    LCTL_RETURN_IF_ERROR(check_line("the param's key", key, kMaxParameterKeyBytes));
    LCTL_RETURN_IF_ERROR(check_text(fmt::format("the value of param '{}'", shown(key)), value,
                                    kMaxParameterTextBytes));
    const auto [known, is_new] = values.emplace(key, value);
    if (!is_new && known->second != value) {
      return absl::InvalidArgumentError(
          fmt::format("param '{}' has two values in one request, '{}' and '{}'", shown(key),
                      shown(known->second), shown(value)));
    }
  }
  LCTL_RETURN_IF_ERROR(check_change(batch.labels));
  if (batch.name) LCTL_RETURN_IF_ERROR(check_line("the run's name", *batch.name, kMaxRunNameBytes));
  for (const Dataset& dataset : batch.datasets) LCTL_RETURN_IF_ERROR(check_dataset(dataset));
  for (const RunModel& model : batch.models) {
    LCTL_RETURN_IF_ERROR(check_line("the model's id", model.model, kMaxDatasetNameBytes));
  }
  return absl::OkStatus();
}

absl::Status log_points(Connection& connection, const JobId& id, std::int64_t job,
                        std::span<const LoggedPoint> points) {
  if (points.empty()) return absl::OkStatus();
  // A point's place in all that the script has logged takes the place of its spool offset.
  const StreamKey stream{.attempt = {id, kLoggedAttempt}};
  std::uint64_t offset = read_committed(connection, job, stream);
  std::map<std::string_view, std::vector<BlockPoint>> by_key;
  for (const LoggedPoint& point : points) {
    by_key[point.key].push_back(
        {.step = point.step, .time_us = point.time_us, .value = point.value, .offset = offset++});
  }
  bool new_series = false;
  for (auto& [key, logged] : by_key) {
    const auto known = find_series(connection, job, key);
    new_series = new_series || !known;
    const std::int64_t series =
        known ? known->id : *series_for(connection, job, key, SeriesSource::kRank);
    LCTL_RETURN_IF_ERROR(remove_known(connection, series, logged));
    LCTL_RETURN_IF_ERROR(append_points(connection, series, kLoggedAttempt, std::move(logged)));
  }
  write_committed(connection, job, stream, offset);
  return new_series ? check_number_of_series(connection, job) : absl::OkStatus();
}

absl::Status apply_batch(Connection& connection, const JobId& id, std::int64_t job,
                         const RunBatch& batch) {
  LCTL_RETURN_IF_ERROR(log_points(connection, id, job, batch.points));
  if (!batch.parameters.empty()) {
    LCTL_RETURN_IF_ERROR(log_parameters(connection, id, job, batch.parameters));
  }
  LCTL_RETURN_IF_ERROR(log_labels(connection, job, batch));
  if (batch.datasets.empty() && batch.models.empty()) return absl::OkStatus();
  return log_inputs(connection, job, batch);
}

}  // namespace lctl::storage
