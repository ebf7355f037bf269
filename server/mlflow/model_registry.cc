#include "server/mlflow/model_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "server/mlflow/run_json.h"
#include "server/mlflow/searches.h"
#include "storage/jobs/texts.h"
#include "storage/tracking/model_store.h"

namespace lctl::mlflow {
namespace {

using nlohmann::json;

constexpr std::int64_t kMicrosOfMilli = 1'000;
constexpr std::size_t kMaxTags = 100;
constexpr std::string_view kLoggedScheme = "models:/m-";

json json_of_version(const storage::ModelVersion& version) {
  json result = {{"name", version.model},
                 {"version", std::to_string(version.version)},
                 {"creation_timestamp", version.created_us / kMicrosOfMilli},
                 {"last_updated_timestamp", version.updated_us / kMicrosOfMilli},
                 {"current_stage", version.stage},
                 {"description", version.description},
                 {"source", version.source},
                 {"run_id", version.run},
                 {"status", "READY"},
                 {"tags", json_of(version.tags)},
                 {"aliases", version.aliases}};
  if (!version.logged.empty()) result["model_id"] = version.logged;
  return result;
}

json json_of_model(const storage::RegisteredModel& model) {
  json versions = json::array();
  for (const storage::ModelVersion& version : model.latest) {
    versions.push_back(json_of_version(version));
  }
  json aliases = json::array();
  for (const auto& [alias, version] : model.aliases) {
    aliases.push_back({{"alias", alias}, {"version", std::to_string(version)}});
  }
  return {{"name", model.name},
          {"creation_timestamp", model.created_us / kMicrosOfMilli},
          {"last_updated_timestamp", model.updated_us / kMicrosOfMilli},
          {"description", model.description},
          {"latest_versions", std::move(versions)},
          {"tags", json_of(model.tags)},
          {"aliases", std::move(aliases)}};
}

// A version that a request names.
struct Named {
  std::string model;
  std::int64_t version = 0;
};

absl::StatusOr<Named> version_in(const Fields& request) {
  Named named;
  LCTL_ASSIGN_OR_RETURN(named.model, request.text("name"));
  LCTL_ASSIGN_OR_RETURN(named.version, request.integer("version"));
  return named;
}

// What leads out of a store's own folder is no source.
absl::Status check_source(const std::string& source) {
  const bool known = source.starts_with("models:/") || source.starts_with("runs:/") ||
                     source.starts_with(kArtifactScheme);
  if (known && source.find("..") == std::string::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("Invalid model version source: '{}'; expected a model in this server: models:/…, "
                  "runs:/… or {}…",
                  storage::shown(source), kArtifactScheme));
}

}  // namespace

absl::StatusOr<json> ModelRegistry::create_model(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string name, request.text("name"));
  LCTL_ASSIGN_OR_RETURN(const std::string description, request.text_or_empty("description"));
  LCTL_ASSIGN_OR_RETURN(const auto tags, request.pairs("tags", kMaxTags));
  LCTL_ASSIGN_OR_RETURN(const auto model, store_.models().create_model(name, description,
                                                                       {tags.begin(), tags.end()}));
  return json{{"registered_model", json_of_model(model)}};
}

absl::StatusOr<json> ModelRegistry::get_model(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string name, request.text("name"));
  LCTL_ASSIGN_OR_RETURN(const auto model, store_.models().model(name));
  return json{{"registered_model", json_of_model(model)}};
}

absl::StatusOr<json> ModelRegistry::search_models(const Fields& request) {
  const auto own = storage::registered_model_attributes();
  LCTL_ASSIGN_OR_RETURN(const Search search, search_in(request, own));
  LCTL_ASSIGN_OR_RETURN(const auto all, store_.models().search_models(search.where, search.order));
  return page_of(all, request, "registered_models", json_of_model);
}

absl::StatusOr<json> ModelRegistry::rename_model(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string name, request.text("name"));
  LCTL_ASSIGN_OR_RETURN(const std::string new_name, request.text("new_name"));
  LCTL_RETURN_IF_ERROR(store_.models().rename_model(name, new_name));
  LCTL_ASSIGN_OR_RETURN(const auto model, store_.models().model(new_name));
  return json{{"registered_model", json_of_model(model)}};
}

absl::StatusOr<json> ModelRegistry::update_model(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string name, request.text("name"));
  LCTL_ASSIGN_OR_RETURN(const std::string description, request.text_or_empty("description"));
  LCTL_RETURN_IF_ERROR(store_.models().describe_model(name, description));
  return get_model(request);
}

absl::StatusOr<json> ModelRegistry::delete_model(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string name, request.text("name"));
  LCTL_RETURN_IF_ERROR(store_.models().delete_model(name));
  return json::object();
}

absl::StatusOr<json> ModelRegistry::set_model_tag(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string name, request.text("name"));
  LCTL_ASSIGN_OR_RETURN(const std::string key, request.text("key"));
  LCTL_ASSIGN_OR_RETURN(const std::string value, request.text_or_empty("value"));
  LCTL_RETURN_IF_ERROR(store_.models().tag_model(name, key, value));
  return json::object();
}

absl::StatusOr<json> ModelRegistry::delete_model_tag(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string name, request.text("name"));
  LCTL_ASSIGN_OR_RETURN(const std::string key, request.text("key"));
  LCTL_RETURN_IF_ERROR(store_.models().tag_model(name, key, std::nullopt));
  return json::object();
}

absl::StatusOr<json> ModelRegistry::set_alias(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const Named named, version_in(request));
  LCTL_ASSIGN_OR_RETURN(const std::string alias, request.text("alias"));
  LCTL_RETURN_IF_ERROR(store_.models().set_alias(named.model, alias, named.version));
  return json::object();
}

absl::StatusOr<json> ModelRegistry::delete_alias(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string name, request.text("name"));
  LCTL_ASSIGN_OR_RETURN(const std::string alias, request.text("alias"));
  LCTL_RETURN_IF_ERROR(store_.models().set_alias(name, alias, std::nullopt));
  return json::object();
}

absl::StatusOr<json> ModelRegistry::get_by_alias(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string name, request.text("name"));
  LCTL_ASSIGN_OR_RETURN(const std::string alias, request.text("alias"));
  LCTL_ASSIGN_OR_RETURN(const auto version, store_.models().version_of_alias(name, alias));
  return json{{"model_version", json_of_version(version)}};
}

absl::StatusOr<json> ModelRegistry::get_latest_versions(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string name, request.text("name"));
  LCTL_ASSIGN_OR_RETURN(const auto stages, request.texts("stages", 4));
  LCTL_ASSIGN_OR_RETURN(const auto model, store_.models().model(name));
  json versions = json::array();
  for (const storage::ModelVersion& version : model.latest) {
    if (stages.empty() || std::find(stages.begin(), stages.end(), version.stage) != stages.end()) {
      versions.push_back(json_of_version(version));
    }
  }
  return json{{"model_versions", std::move(versions)}};
}

absl::StatusOr<json> ModelRegistry::create_version(const Fields& request) {
  storage::ModelVersion version;
  LCTL_ASSIGN_OR_RETURN(version.model, request.text("name"));
  LCTL_ASSIGN_OR_RETURN(version.source, request.text("source"));
  LCTL_RETURN_IF_ERROR(check_source(version.source));
  LCTL_ASSIGN_OR_RETURN(version.run, request.text_or_empty("run_id"));
  LCTL_ASSIGN_OR_RETURN(version.logged, request.text_or_empty("model_id"));
  if (version.logged.empty() && version.source.starts_with(kLoggedScheme)) {
    version.logged = version.source.substr(std::string_view("models:/").size());
  }
  if (!version.logged.empty()) {
    LCTL_ASSIGN_OR_RETURN(const auto logged, store_.models().logged(version.logged));
    if (version.run.empty()) version.run = logged.source_run;
  }
  LCTL_ASSIGN_OR_RETURN(version.description, request.text_or_empty("description"));
  LCTL_ASSIGN_OR_RETURN(const auto tags, request.pairs("tags", kMaxTags));
  version.tags = {tags.begin(), tags.end()};
  LCTL_ASSIGN_OR_RETURN(const auto made, store_.models().create_version(version));
  return json{{"model_version", json_of_version(made)}};
}

absl::StatusOr<json> ModelRegistry::get_version(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const Named named, version_in(request));
  LCTL_ASSIGN_OR_RETURN(const auto version, store_.models().version(named.model, named.version));
  return json{{"model_version", json_of_version(version)}};
}

absl::StatusOr<json> ModelRegistry::search_versions(const Fields& request) {
  const auto own = storage::model_version_attributes();
  LCTL_ASSIGN_OR_RETURN(const Search search, search_in(request, own));
  LCTL_ASSIGN_OR_RETURN(const auto all,
                        store_.models().search_versions(search.where, search.order));
  return page_of(all, request, "model_versions", json_of_version);
}

absl::StatusOr<json> ModelRegistry::update_version(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const Named named, version_in(request));
  LCTL_ASSIGN_OR_RETURN(const std::string description, request.text_or_empty("description"));
  LCTL_RETURN_IF_ERROR(store_.models().describe_version(named.model, named.version, description));
  return get_version(request);
}

absl::StatusOr<json> ModelRegistry::transition_stage(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const Named named, version_in(request));
  LCTL_ASSIGN_OR_RETURN(const std::string stage, request.text("stage"));
  LCTL_ASSIGN_OR_RETURN(const bool archive, request.flag_or("archive_existing_versions", false));
  LCTL_RETURN_IF_ERROR(store_.models().set_stage(named.model, named.version, stage, archive));
  return get_version(request);
}

absl::StatusOr<json> ModelRegistry::delete_version(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const Named named, version_in(request));
  LCTL_RETURN_IF_ERROR(store_.models().delete_version(named.model, named.version));
  return json::object();
}

absl::StatusOr<json> ModelRegistry::set_version_tag(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const Named named, version_in(request));
  LCTL_ASSIGN_OR_RETURN(const std::string key, request.text("key"));
  LCTL_ASSIGN_OR_RETURN(const std::string value, request.text_or_empty("value"));
  LCTL_RETURN_IF_ERROR(store_.models().tag_version(named.model, named.version, key, value));
  return json::object();
}

absl::StatusOr<json> ModelRegistry::delete_version_tag(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const Named named, version_in(request));
  LCTL_ASSIGN_OR_RETURN(const std::string key, request.text("key"));
  LCTL_RETURN_IF_ERROR(store_.models().tag_version(named.model, named.version, key, std::nullopt));
  return json::object();
}

// Of a version that was made from a logged model the place of that model's files.
absl::StatusOr<json> ModelRegistry::get_download_uri(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const Named named, version_in(request));
  LCTL_ASSIGN_OR_RETURN(const auto version, store_.models().version(named.model, named.version));
  std::string uri = version.source;
  if (!version.logged.empty() && uri.starts_with(kLoggedScheme)) {
    LCTL_ASSIGN_OR_RETURN(const auto model, store_.models().logged(version.logged));
    uri = fmt::format("{}{}/models/{}/artifacts", kArtifactScheme, model.experiment, model.id);
  }
  return json{{"artifact_uri", uri}};
}

}  // namespace lctl::mlflow
