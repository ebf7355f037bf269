#include "server/mlflow/api.h"

#include <string>
#include <utility>
#include <variant>

#include "server/mlflow/reply.h"

namespace lctl::mlflow {
namespace {

using nlohmann::json;

constexpr const char* kRoot = "/api/2.0/mlflow/";
constexpr const char* kFiles = "/api/2.0/mlflow-artifacts/";

// Answers with what the method of `part` gives for the request's fields.
template <typename Part>
http::Handler endpoint(Part& part, absl::StatusOr<json> (Part::*method)(const Fields&)) {
  return [&part, method](const http::Request& request) {
    if (auto refused = refuse_other_origin(request)) return *std::move(refused);
    const auto fields = Fields::of(request);
    if (!fields.ok()) return refusal(fields.status());
    const auto result = (part.*method)(*fields);
    return result.ok() ? answer(*result) : refusal(result.status());
  };
}

// Adds endpoints of one part below one path.
template <typename Part>
class Endpoints {
 public:
  using Method = absl::StatusOr<json> (Part::*)(const Fields&);

  Endpoints(http::Router& router, std::string root, Part& part)
      : router_(router), root_(std::move(root)), part_(part) {}

  void get(const char* path, Method method) { add("GET", path, method, 0); }
  void post(const char* path, Method method, std::size_t max_bytes = kMaxRequestBytes) {
    add("POST", path, method, max_bytes);
  }
  void patch(const char* path, Method method) { add("PATCH", path, method, kMaxRequestBytes); }
  void remove(const char* path, Method method) { add("DELETE", path, method, kMaxRequestBytes); }

 private:
  void add(const char* verb, const char* path, Method method, std::size_t max_bytes) {
    router_.add({.method = verb,
                 .pattern = root_ + path,
                 .handler = endpoint(part_, method),
                 .max_body_bytes = max_bytes});
  }

  http::Router& router_;
  const std::string root_;
  Part& part_;
};

http::Response plain_text(const char* text) {
  return {.content_type = "text/plain; charset=utf-8", .body = text};
}

// The words by which MLflow's clients know that they are to send the file whole.
http::Response no_parts(const http::Request&) {
  return refusal(
      absl::UnimplementedError("Multipart upload is not supported for the current artifact "
                               "repository: send the file whole"));
}

http::Response no_presigned(const http::Request&) {
  return refusal(absl::UnimplementedError(
      "presigned downloads are not supported: files are downloaded from this server"));
}

}  // namespace

Api::Api(storage::Store& store, LabelJob label_job)
    : experiments_(store.tracking()),
      runs_(store, std::move(label_job)),
      metrics_(store),
      artifacts_(store),
      models_(store),
      registry_(store) {}

void Api::add_routes(http::Router& router) {
  router.add({.method = "GET", .pattern = "/health", .handler = [](const http::Request&) {
                return plain_text("OK");
              }});
  router.add({.method = "GET", .pattern = "/version", .handler = [](const http::Request&) {
                return plain_text(kProtocolVersion);
              }});
  router.add({.method = "GET",
              .pattern = "/api/3.0/mlflow/server-info",
              .handler = [](const http::Request&) {
                return answer({{"store_type", "SqlStore"},
                               {"workspaces_enabled", false},
                               {"trace_archival_enabled", false},
                               {"multipart_uploads_enabled", false},
                               {"multipart_downloads_enabled", false}});
              }});
  add_experiments(router);
  add_runs(router);
  add_artifacts(router);
  add_models(router);
  add_registry(router);
}

void Api::add_experiments(http::Router& router) {
  Endpoints at(router, std::string(kRoot) + "experiments/", experiments_);
  at.post("create", &Experiments::create);
  at.get("get", &Experiments::get);
  at.get("get-by-name", &Experiments::get_by_name);
  at.get("search", &Experiments::search);
  at.post("search", &Experiments::search);
  at.post("delete", &Experiments::remove);
  at.post("restore", &Experiments::restore);
  at.post("update", &Experiments::update);
  at.post("set-experiment-tag", &Experiments::set_tag);
  at.post("delete-experiment-tag", &Experiments::delete_tag);
}

void Api::add_runs(http::Router& router) {
  Endpoints at(router, std::string(kRoot) + "runs/", runs_);
  at.post("create", &Runs::create);
  at.get("get", &Runs::get);
  at.post("update", &Runs::update);
  at.post("delete", &Runs::remove);
  at.post("restore", &Runs::restore);
  at.post("search", &Runs::search);
  at.post("log-metric", &Runs::log_metric);
  at.post("log-parameter", &Runs::log_param);
  at.post("log-batch", &Runs::log_batch);
  at.post("log-inputs", &Runs::log_inputs, kMaxInputsRequestBytes);
  at.post("outputs", &Runs::log_outputs);
  at.post("log-model", &Runs::log_model);
  at.post("set-tag", &Runs::set_tag);
  at.post("delete-tag", &Runs::delete_tag);
  Endpoints of_metrics(router, std::string(kRoot) + "metrics/", metrics_);
  of_metrics.get("get-history", &Metrics::get_history);
  of_metrics.get("get-history-bulk-interval", &Metrics::get_history_bulk_interval);
}

void Api::add_artifacts(http::Router& router) {
  Endpoints of_runs(router, kRoot, artifacts_);
  of_runs.get("artifacts/list", &Artifacts::list_of_run);
  of_runs.get("logged-models/{model_id}/artifacts/directories", &Artifacts::list_of_model);
  Endpoints at(router, kFiles, artifacts_);
  at.get("artifacts", &Artifacts::list);
  at.remove("artifacts/{path...}", &Artifacts::remove);
  router.add({.method = "GET",
              .pattern = std::string(kFiles) + "artifacts/{path...}",
              .handler = [this](const http::Request& request) {
                if (auto refused = refuse_other_origin(request)) return *std::move(refused);
                return artifacts_.download(request);
              }});
  using Begun = std::variant<std::unique_ptr<http::Upload>, http::Response>;
  router.add({.method = "PUT",
              .pattern = std::string(kFiles) + "artifacts/{path...}",
              .handler = nullptr,
              .max_body_bytes = static_cast<std::uint64_t>(storage::kMaxArtifactBytes),
              .upload = [this](const http::Request& request) -> Begun {
                if (auto refused = refuse_other_origin(request)) return *std::move(refused);
                return artifacts_.upload(request);
              }});
  router.add({.method = "POST",
              .pattern = std::string(kFiles) + "mpu/{action}/{path...}",
              .handler = no_parts,
              .max_body_bytes = kMaxRequestBytes});
  router.add({.method = "GET",
              .pattern = std::string(kFiles) + "presigned/{path...}",
              .handler = no_presigned});
}

void Api::add_models(http::Router& router) {
  Endpoints at(router, std::string(kRoot) + "logged-models", models_);
  at.post("", &LoggedModels::create);
  at.post("/search", &LoggedModels::search);
  at.get("/{model_id}", &LoggedModels::get);
  at.patch("/{model_id}", &LoggedModels::finalize);
  at.remove("/{model_id}", &LoggedModels::remove);
  at.post("/{model_id}/params", &LoggedModels::log_params);
  at.patch("/{model_id}/tags", &LoggedModels::set_tags);
  at.remove("/{model_id}/tags/{tag_key}", &LoggedModels::delete_tag);
}

void Api::add_registry(http::Router& router) {
  Endpoints models(router, std::string(kRoot) + "registered-models/", registry_);
  models.post("create", &ModelRegistry::create_model);
  models.get("get", &ModelRegistry::get_model);
  models.get("search", &ModelRegistry::search_models);
  models.post("rename", &ModelRegistry::rename_model);
  models.patch("update", &ModelRegistry::update_model);
  models.remove("delete", &ModelRegistry::delete_model);
  models.post("set-tag", &ModelRegistry::set_model_tag);
  models.remove("delete-tag", &ModelRegistry::delete_model_tag);
  models.post("alias", &ModelRegistry::set_alias);
  models.remove("alias", &ModelRegistry::delete_alias);
  models.get("alias", &ModelRegistry::get_by_alias);
  models.get("get-latest-versions", &ModelRegistry::get_latest_versions);
  models.post("get-latest-versions", &ModelRegistry::get_latest_versions);
  Endpoints versions(router, std::string(kRoot) + "model-versions/", registry_);
  versions.post("create", &ModelRegistry::create_version);
  versions.get("get", &ModelRegistry::get_version);
  versions.get("search", &ModelRegistry::search_versions);
  versions.patch("update", &ModelRegistry::update_version);
  versions.post("transition-stage", &ModelRegistry::transition_stage);
  versions.remove("delete", &ModelRegistry::delete_version);
  versions.post("set-tag", &ModelRegistry::set_version_tag);
  versions.remove("delete-tag", &ModelRegistry::delete_version_tag);
  versions.get("get-download-uri", &ModelRegistry::get_download_uri);
}

}  // namespace lctl::mlflow
