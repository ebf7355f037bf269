#include "server/mlflow/runs.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "server/mlflow/logged_values.h"
#include "server/mlflow/run_json.h"
#include "server/mlflow/searches.h"
#include "storage/jobs/job_store.h"
#include "storage/jobs/texts.h"
#include "storage/search/known_tags.h"

namespace lctl::mlflow {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxExperimentsOfSearch = 1'000;
constexpr int kRunNameLetters = 6;

absl::StatusOr<JobId> run_in(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(std::string id, request.text("run_id", "run_uuid"));
  return JobId(std::move(id));
}

// The experiment that a request names, or the default one.
absl::StatusOr<std::int64_t> experiment_in(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string text, request.text_or_empty("experiment_id"));
  if (text.empty()) return storage::kDefaultExperiment;
  return experiment_id_of(text);
}

// One or several models of a request, which the run has used or made.
absl::Status add_models(const Fields& request, bool output, storage::RunBatch& batch) {
  LCTL_ASSIGN_OR_RETURN(const auto models, request.objects("models", storage::kMaxInputsOfRun));
  for (const Fields& fields : models) {
    storage::RunModel model{.output = output};
    LCTL_ASSIGN_OR_RETURN(model.model, fields.text("model_id"));
    LCTL_ASSIGN_OR_RETURN(model.step, fields.integer_or("step", 0));
    batch.models.push_back(std::move(model));
  }
  return absl::OkStatus();
}

}  // namespace

Runs::Runs(storage::Store& store, LabelJob label_job)
    : store_(store), tracking_(store.tracking()), label_job_(std::move(label_job)) {}

absl::StatusOr<json> Runs::create(const Fields& request) {
  storage::NewRun run;
  LCTL_ASSIGN_OR_RETURN(run.experiment, experiment_in(request));
  LCTL_ASSIGN_OR_RETURN(run.user, request.text_or_empty("user_id"));
  LCTL_ASSIGN_OR_RETURN(const std::int64_t start, request.integer_or("start_time", 0));
  LCTL_ASSIGN_OR_RETURN(run.start_us, micros_of("start_time", start));
  LCTL_ASSIGN_OR_RETURN(auto tags, request.pairs("tags", storage::kMaxTagsOfJob));
  storage::RunBatch labels;
  for (auto& [key, value] : tags) {
    LCTL_RETURN_IF_ERROR(check_name("tag name", key));
    if (key == storage::kUserTag && run.user.empty()) run.user = value;
    add_tag(labels, std::move(key), std::move(value));
  }
  LCTL_ASSIGN_OR_RETURN(run.name, request.text_or_empty("run_name"));
  if (run.name.empty()) run.name = labels.name.value_or("");
  if (run.name.empty()) run.name = "run-" + random_id(kRunNameLetters);
  run.tags = std::move(labels.labels.tags);
  run.note = labels.labels.note.value_or("");
  LCTL_ASSIGN_OR_RETURN(const storage::Run made, tracking_.create_run(run));
  return json{{"run", json_of(made)}};
}

absl::StatusOr<json> Runs::get(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const JobId id, run_in(request));
  LCTL_ASSIGN_OR_RETURN(const storage::Run run, tracking_.run(id));
  return json{{"run", json_of(run)}};
}

absl::StatusOr<json> Runs::update(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const JobId id, run_in(request));
  storage::RunUpdate update;
  LCTL_ASSIGN_OR_RETURN(update.name, request.optional_text("run_name"));
  if (update.name && update.name->empty()) update.name.reset();  // not set
  LCTL_ASSIGN_OR_RETURN(const std::string status, request.text_or_empty("status"));
  if (!status.empty()) {
    LCTL_ASSIGN_OR_RETURN(update.state, state_of(status));
  }
  if (request.has("end_time")) {
    LCTL_ASSIGN_OR_RETURN(const std::int64_t end, request.integer("end_time"));
    LCTL_ASSIGN_OR_RETURN(update.end_us, micros_of("end_time", end));
  }
  LCTL_ASSIGN_OR_RETURN(const storage::Run run, tracking_.update_run(id, update));
  return json{{"run_info", info_of(run)}};
}

absl::StatusOr<json> Runs::remove(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const JobId id, run_in(request));
  LCTL_RETURN_IF_ERROR(tracking_.set_run_deleted(id, true));
  return json::object();
}

absl::StatusOr<json> Runs::restore(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const JobId id, run_in(request));
  LCTL_RETURN_IF_ERROR(tracking_.set_run_deleted(id, false));
  return json::object();
}

absl::StatusOr<json> Runs::search(const Fields& request) {
  storage::RunFilter filter;
  LCTL_ASSIGN_OR_RETURN(const auto experiments,
                        request.texts("experiment_ids", kMaxExperimentsOfSearch));
  for (const std::string& text : experiments) {
    LCTL_ASSIGN_OR_RETURN(const std::int64_t id, experiment_id_of(text));
    // As in MLflow: what is not there has no runs.
    if (tracking_.experiment(id).ok()) filter.experiments.push_back(id);
  }
  LCTL_ASSIGN_OR_RETURN(filter.lifecycle, lifecycle_in(request, "run_view_type"));
  LCTL_ASSIGN_OR_RETURN(Search search, search_in(request));
  filter.where = std::move(search.where);
  filter.order = std::move(search.order);
  LCTL_ASSIGN_OR_RETURN(filter.before, request.text_or_empty("page_token"));
  LCTL_ASSIGN_OR_RETURN(const std::int64_t size, page_size_in(request));
  filter.limit = static_cast<int>(size) + 1;
  LCTL_ASSIGN_OR_RETURN(std::vector<storage::Run> runs, tracking_.runs(filter));
  const bool more = std::ssize(runs) > size;
  if (more) runs.pop_back();
  json list = json::array();
  for (const storage::Run& run : runs) list.push_back(json_of(run));
  json page = {{"runs", std::move(list)}};
  if (more) page["next_page_token"] = runs.back().id.str();
  return page;
}

// Of a submitted job tags and note may change, by the engine.
absl::Status Runs::log(const JobId& id, storage::RunBatch batch) {
  const bool labels_alone = batch.points.empty() && batch.parameters.empty() &&
                            batch.datasets.empty() && batch.models.empty() && !batch.name;
  if (labels_alone) {
    const auto origin = store_.jobs().origin(id);
    if (origin.ok() && *origin == storage::Origin::kSubmitted) {
      return label_job_(id, batch.labels).status();
    }
  }
  return tracking_.log(id, batch);
}

absl::StatusOr<json> Runs::log_metric(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const JobId id, run_in(request));
  LCTL_ASSIGN_OR_RETURN(storage::LoggedPoint point, point_in(request));
  LCTL_RETURN_IF_ERROR(log(id, {.points = {std::move(point)}}));
  return json::object();
}

absl::StatusOr<json> Runs::log_param(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const JobId id, run_in(request));
  LCTL_ASSIGN_OR_RETURN(std::string key, request.text("key"));
  LCTL_RETURN_IF_ERROR(check_name("param name", key));
  LCTL_ASSIGN_OR_RETURN(std::string value, request.text_or_empty("value"));
  LCTL_RETURN_IF_ERROR(log(id, {.parameters = {{std::move(key), std::move(value)}}}));
  return json::object();
}

absl::StatusOr<json> Runs::log_batch(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const JobId id, run_in(request));
  storage::RunBatch batch;
  LCTL_ASSIGN_OR_RETURN(const auto metrics, request.objects("metrics", kMaxMetricsOfBatch));
  batch.points.reserve(metrics.size());
  for (const Fields& metric : metrics) {
    LCTL_ASSIGN_OR_RETURN(storage::LoggedPoint point, point_in(metric));
    batch.points.push_back(std::move(point));
  }
  LCTL_ASSIGN_OR_RETURN(batch.parameters, request.pairs("params", kMaxParamsOfBatch));
  for (const auto& [key, value] : batch.parameters) {
    LCTL_RETURN_IF_ERROR(check_name("param name", key));
  }
  LCTL_ASSIGN_OR_RETURN(auto tags, request.pairs("tags", kMaxTagsOfBatch));
  for (auto& [key, value] : tags) {
    LCTL_RETURN_IF_ERROR(check_name("tag name", key));
    add_tag(batch, std::move(key), std::move(value));
  }
  LCTL_RETURN_IF_ERROR(log(id, std::move(batch)));
  return json::object();
}

absl::StatusOr<json> Runs::log_inputs(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const JobId id, run_in(request));
  storage::RunBatch batch;
  LCTL_ASSIGN_OR_RETURN(const auto datasets, request.objects("datasets", storage::kMaxInputsOfRun));
  for (const Fields& fields : datasets) {
    LCTL_ASSIGN_OR_RETURN(storage::Dataset dataset, dataset_in(fields));
    batch.datasets.push_back(std::move(dataset));
  }
  LCTL_RETURN_IF_ERROR(add_models(request, /*output=*/false, batch));
  LCTL_RETURN_IF_ERROR(log(id, std::move(batch)));
  return json::object();
}

absl::StatusOr<json> Runs::log_outputs(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const JobId id, run_in(request));
  storage::RunBatch batch;
  LCTL_RETURN_IF_ERROR(add_models(request, /*output=*/true, batch));
  LCTL_RETURN_IF_ERROR(log(id, std::move(batch)));
  return json::object();
}

// MLflow keeps the models that a run has logged as a JSON list in a tag.
absl::StatusOr<json> Runs::log_model(const Fields& request) {
  static constexpr const char* kHistoryTag = "mlflow.log-model.history";
  LCTL_ASSIGN_OR_RETURN(const JobId id, run_in(request));
  LCTL_ASSIGN_OR_RETURN(const std::string text, request.text("model_json"));
  json model = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!model.is_object()) {
    return absl::InvalidArgumentError("model_json is no JSON object: expected what MLmodel holds");
  }
  LCTL_ASSIGN_OR_RETURN(const storage::Run run, tracking_.run(id));
  const auto known = run.tags.find(kHistoryTag);
  json history = known == run.tags.end()
                     ? json::array()
                     : json::parse(known->second, nullptr, /*allow_exceptions=*/false);
  if (!history.is_array()) history = json::array();
  history.push_back(std::move(model));
  // The tag is for MLflow's page; the models themselves are logged models. It keeps the newest.
  while (!history.empty() && history.dump().size() > storage::kMaxTagValueBytes) history.erase(0);
  storage::RunBatch batch;
  batch.labels.tags.emplace(kHistoryTag, history.dump());
  LCTL_RETURN_IF_ERROR(log(id, std::move(batch)));
  return json::object();
}

absl::StatusOr<json> Runs::set_tag(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const JobId id, run_in(request));
  LCTL_ASSIGN_OR_RETURN(std::string key, request.text("key"));
  LCTL_RETURN_IF_ERROR(check_name("tag name", key));
  LCTL_ASSIGN_OR_RETURN(std::string value, request.text_or_empty("value"));
  storage::RunBatch batch;
  add_tag(batch, std::move(key), std::move(value));
  LCTL_RETURN_IF_ERROR(log(id, std::move(batch)));
  return json::object();
}

absl::StatusOr<json> Runs::delete_tag(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const JobId id, run_in(request));
  LCTL_ASSIGN_OR_RETURN(std::string key, request.text("key"));
  if (key == storage::kNameTag) {
    return absl::InvalidArgumentError(
        "the tag mlflow.runName is the run's name: it can be changed, not removed");
  }
  storage::RunBatch batch;
  if (key == storage::kNoteTag) {
    batch.labels.note = "";
  } else {
    batch.labels.removed_tags.push_back(std::move(key));
  }
  LCTL_RETURN_IF_ERROR(log(id, std::move(batch)));
  return json::object();
}

}  // namespace lctl::mlflow
