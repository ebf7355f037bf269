#include "server/mlflow/logged_models.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "server/mlflow/run_json.h"
#include "server/mlflow/searches.h"
#include "storage/jobs/texts.h"
#include "storage/search/filter_parsing.h"
#include "storage/tracking/model_store.h"

namespace lctl::mlflow {
namespace {

using nlohmann::json;

constexpr std::int64_t kMicrosOfMilli = 1'000;
constexpr std::size_t kMaxPairs = 1'000;
constexpr std::size_t kMaxExperiments = 1'000;
constexpr std::string_view kStatusPrefix = "LOGGED_MODEL_";

json json_of_model(const storage::LoggedModel& model) {
  json info = {{"model_id", model.id},
               {"experiment_id", std::to_string(model.experiment)},
               {"name", model.name},
               {"creation_timestamp_ms", model.created_us / kMicrosOfMilli},
               {"last_updated_timestamp_ms", model.updated_us / kMicrosOfMilli},
               {"artifact_uri", fmt::format("{}{}/models/{}/artifacts", kArtifactScheme,
                                            model.experiment, model.id)},
               {"status", fmt::format("{}{}", kStatusPrefix, name_of(model.status))},
               {"tags", json_of(model.tags)}};
  if (!model.type.empty()) info["model_type"] = model.type;
  if (!model.source_run.empty()) info["source_run_id"] = model.source_run;
  return {{"info", std::move(info)},
          {"data", {{"params", json_of(model.params)}, {"metrics", json::array()}}}};
}

absl::StatusOr<storage::Tags> map_in(const Fields& request, const char* name) {
  LCTL_ASSIGN_OR_RETURN(const auto pairs, request.pairs(name, kMaxPairs));
  return storage::Tags(pairs.begin(), pairs.end());
}

absl::StatusOr<storage::ModelStatus> status_in(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string text, request.text("status"));
  for (const auto status : {storage::ModelStatus::kPending, storage::ModelStatus::kReady,
                            storage::ModelStatus::kFailed}) {
    if (text == fmt::format("{}{}", kStatusPrefix, name_of(status))) return status;
  }
  return absl::InvalidArgumentError(
      fmt::format("there is no status '{}'; expected LOGGED_MODEL_READY or "
                  "LOGGED_MODEL_UPLOAD_FAILED",
                  storage::shown(text)));
}

}  // namespace

absl::StatusOr<json> LoggedModels::create(const Fields& request) {
  storage::LoggedModel model;
  LCTL_ASSIGN_OR_RETURN(const std::string experiment, request.text("experiment_id"));
  LCTL_ASSIGN_OR_RETURN(model.experiment, experiment_id_of(experiment));
  LCTL_ASSIGN_OR_RETURN(model.name, request.text_or_empty("name"));
  LCTL_ASSIGN_OR_RETURN(model.type, request.text_or_empty("model_type"));
  LCTL_ASSIGN_OR_RETURN(model.source_run, request.text_or_empty("source_run_id"));
  LCTL_ASSIGN_OR_RETURN(model.params, map_in(request, "params"));
  LCTL_ASSIGN_OR_RETURN(model.tags, map_in(request, "tags"));
  LCTL_ASSIGN_OR_RETURN(const auto made, store_.models().create_logged(model));
  return json{{"model", json_of_model(made)}};
}

absl::StatusOr<json> LoggedModels::get(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string id, request.text("model_id"));
  LCTL_ASSIGN_OR_RETURN(const bool deleted_too, request.flag_or("allow_deleted", false));
  LCTL_ASSIGN_OR_RETURN(const auto model, store_.models().logged(id));
  if (model.deleted && !deleted_too) {
    return absl::NotFoundError(fmt::format("the logged model '{}' was deleted", model.id));
  }
  return json{{"model", json_of_model(model)}};
}

absl::StatusOr<json> LoggedModels::finalize(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string id, request.text("model_id"));
  LCTL_ASSIGN_OR_RETURN(const storage::ModelStatus status, status_in(request));
  LCTL_ASSIGN_OR_RETURN(const auto model, store_.models().finish_logged(id, status));
  return json{{"model", json_of_model(model)}};
}

absl::StatusOr<json> LoggedModels::remove(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string id, request.text("model_id"));
  LCTL_RETURN_IF_ERROR(store_.models().delete_logged(id));
  return json::object();
}

absl::StatusOr<json> LoggedModels::search(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const auto texts, request.texts("experiment_ids", kMaxExperiments));
  std::vector<std::int64_t> experiments;
  for (const std::string& text : texts) {
    LCTL_ASSIGN_OR_RETURN(const std::int64_t id, experiment_id_of(text));
    experiments.push_back(id);
  }
  if (request.has("datasets")) {
    LCTL_ASSIGN_OR_RETURN(const auto datasets, request.objects("datasets", kMaxPairs));
    if (!datasets.empty()) {
      return absl::UnimplementedError(
          "this server keeps no metrics by model and dataset: search without `datasets`");
    }
  }
  const std::vector<std::string_view> own = storage::logged_model_attributes();
  LCTL_ASSIGN_OR_RETURN(const std::string filter, request.text_or_empty("filter"));
  auto where = storage::parse_filter(filter, own);
  if (!where.ok()) return with_context(where.status(), "Invalid filter");
  std::vector<storage::Order> order;
  LCTL_ASSIGN_OR_RETURN(const auto fields, request.objects("order_by", 16));
  for (const Fields& field : fields) {
    LCTL_ASSIGN_OR_RETURN(const std::string name, field.text("field_name"));
    LCTL_ASSIGN_OR_RETURN(const bool ascending, field.flag_or("ascending", true));
    auto one = storage::parse_order(name, own);
    if (!one.ok()) return with_context(one.status(), "Invalid order_by");
    one->descending = !ascending;
    order.push_back(*std::move(one));
  }
  LCTL_ASSIGN_OR_RETURN(const auto all, store_.models().search_logged(experiments, *where, order));
  return page_of(all, request, "models", json_of_model);
}

absl::StatusOr<json> LoggedModels::log_params(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string id, request.text("model_id"));
  LCTL_ASSIGN_OR_RETURN(const storage::Tags params, map_in(request, "params"));
  LCTL_RETURN_IF_ERROR(store_.models().add_logged_params(id, params));
  return json::object();
}

absl::StatusOr<json> LoggedModels::set_tags(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string id, request.text("model_id"));
  storage::LabelChange change;
  LCTL_ASSIGN_OR_RETURN(change.tags, map_in(request, "tags"));
  LCTL_ASSIGN_OR_RETURN(const auto model, store_.models().label_logged(id, change));
  return json{{"model", json_of_model(model)}};
}

absl::StatusOr<json> LoggedModels::delete_tag(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string id, request.text("model_id"));
  LCTL_ASSIGN_OR_RETURN(std::string key, request.text("tag_key"));
  storage::LabelChange change;
  change.removed_tags.push_back(std::move(key));
  LCTL_RETURN_IF_ERROR(store_.models().label_logged(id, change).status());
  return json::object();
}

}  // namespace lctl::mlflow
