#include "server/mlflow/run_json.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "storage/jobs/texts.h"
#include "storage/search/known_tags.h"

namespace lctl::mlflow {
namespace {

using nlohmann::json;

constexpr std::int64_t kMicrosOfMilli = 1'000;
constexpr std::int64_t kLastMilli = 253'402'300'799'999;  // of the year 9999

std::string_view stage_of(bool deleted) { return deleted ? "deleted" : "active"; }

storage::Tags all_tags(const storage::Run& run) {
  storage::Tags tags = run.tags;
  tags.insert_or_assign(std::string(storage::kNameTag), run.name);
  if (!run.note.empty()) tags.insert_or_assign(std::string(storage::kNoteTag), run.note);
  if (!run.user.empty()) tags.emplace(storage::kUserTag, run.user);
  return tags;
}

json inputs_of(const storage::Run& run) {
  json datasets = json::array();
  for (const storage::Dataset& dataset : run.datasets) {
    json entry = {{"name", dataset.name},
                  {"digest", dataset.digest},
                  {"source_type", dataset.source_type},
                  {"source", dataset.source}};
    if (!dataset.schema.empty()) entry["schema"] = dataset.schema;
    if (!dataset.profile.empty()) entry["profile"] = dataset.profile;
    datasets.push_back({{"dataset", std::move(entry)}, {"tags", json_of(dataset.tags)}});
  }
  json models = json::array();
  for (const storage::RunModel& model : run.models) {
    if (!model.output) models.push_back({{"model_id", model.model}});
  }
  return {{"dataset_inputs", std::move(datasets)}, {"model_inputs", std::move(models)}};
}

json outputs_of(const storage::Run& run) {
  json models = json::array();
  for (const storage::RunModel& model : run.models) {
    if (model.output) models.push_back({{"model_id", model.model}, {"step", model.step}});
  }
  return {{"model_outputs", std::move(models)}};
}

}  // namespace

json json_of_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

json json_of(const storage::Tags& tags) {
  json list = json::array();
  for (const auto& [key, value] : tags) list.push_back({{"key", key}, {"value", value}});
  return list;
}

json json_of_metric(const std::string& key, double value, std::int64_t time_us, std::int64_t step) {
  return {{"key", key},
          {"value", json_of_number(value)},
          {"timestamp", time_us / kMicrosOfMilli},
          {"step", step}};
}

json json_of(const storage::Experiment& experiment) {
  return {{"experiment_id", std::to_string(experiment.id)},
          {"name", experiment.name},
          {"artifact_location", fmt::format("{}{}", kArtifactScheme, experiment.id)},
          {"lifecycle_stage", stage_of(experiment.deleted)},
          {"creation_time", experiment.created_us / kMicrosOfMilli},
          {"last_update_time", experiment.updated_us / kMicrosOfMilli},
          {"tags", json_of(experiment.tags)}};
}

std::string artifact_folder(const storage::Run& run) {
  return fmt::format("{}/{}/artifacts", run.experiment, run.id.str());
}

json info_of(const storage::Run& run) {
  json info = {{"run_id", run.id.str()},
               {"run_uuid", run.id.str()},
               {"run_name", run.name},
               {"experiment_id", std::to_string(run.experiment)},
               {"user_id", run.user},
               {"status", status_of(run.state)},
               {"start_time", run.start_us / kMicrosOfMilli},
               {"artifact_uri", fmt::format("{}{}", kArtifactScheme, artifact_folder(run))},
               {"lifecycle_stage", stage_of(run.deleted)}};
  if (run.end_us > 0) info["end_time"] = run.end_us / kMicrosOfMilli;
  return info;
}

json json_of(const storage::Run& run) {
  json metrics = json::array();
  for (const storage::LastMetric& metric : run.metrics) {
    metrics.push_back(json_of_metric(metric.key, metric.value, metric.time_us, metric.step));
  }
  json params = json::array();
  for (const auto& [key, value] : run.parameters)
    params.push_back({{"key", key}, {"value", value}});
  return {{"info", info_of(run)},
          {"data",
           {{"metrics", std::move(metrics)},
            {"params", std::move(params)},
            {"tags", json_of(all_tags(run))}}},
          {"inputs", inputs_of(run)},
          {"outputs", outputs_of(run)}};
}

std::string_view status_of(v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_QUEUED:
    case v1::JOB_STATE_STARTING:
      return "SCHEDULED";
    case v1::JOB_STATE_SUCCEEDED:
      return "FINISHED";
    case v1::JOB_STATE_FAILED:
      return "FAILED";
    case v1::JOB_STATE_STOPPED:
      return "KILLED";
    default:
      return "RUNNING";
  }
}

absl::StatusOr<v1::JobState> state_of(std::string_view status) {
  for (const v1::JobState state :
       {v1::JOB_STATE_RUNNING, v1::JOB_STATE_QUEUED, v1::JOB_STATE_SUCCEEDED, v1::JOB_STATE_FAILED,
        v1::JOB_STATE_STOPPED}) {
    if (status_of(state) == status) return state;
  }
  return absl::InvalidArgumentError(
      fmt::format("there is no status '{}'; expected RUNNING, SCHEDULED, FINISHED, FAILED or "
                  "KILLED",
                  storage::shown(status)));
}

absl::StatusOr<std::int64_t> experiment_id_of(std::string_view text) {
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error == std::errc() && end == text.data() + text.size()) return id;
  return absl::InvalidArgumentError(
      fmt::format("Invalid experiment ID: '{}'; expected a whole number", storage::shown(text)));
}

absl::StatusOr<std::int64_t> micros_of(std::string_view name, std::int64_t millis) {
  if (millis >= 0 && millis <= kLastMilli) return millis * kMicrosOfMilli;
  return absl::InvalidArgumentError(
      fmt::format("{} is {}; expected milliseconds since 1970, not below 0 or beyond the year 9999",
                  name, millis));
}

}  // namespace lctl::mlflow
