#include "server/mlflow/experiments.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "server/mlflow/run_json.h"
#include "server/mlflow/searches.h"

namespace lctl::mlflow {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxTags = 100;

absl::StatusOr<std::int64_t> id_in(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string text, request.text("experiment_id"));
  return experiment_id_of(text);
}

}  // namespace

absl::StatusOr<json> Experiments::create(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string name, request.text("name"));
  LCTL_ASSIGN_OR_RETURN(const std::string location, request.text_or_empty("artifact_location"));
  if (!location.empty() && !location.starts_with(kArtifactScheme)) {
    return absl::InvalidArgumentError(
        fmt::format("artifact_location is '{}': artifacts of this server lie in its own store; "
                    "leave artifact_location out",
                    location.substr(0, 200)));
  }
  LCTL_ASSIGN_OR_RETURN(const auto pairs, request.pairs("tags", kMaxTags));
  LCTL_ASSIGN_OR_RETURN(const std::int64_t id,
                        store_.create_experiment(name, {pairs.begin(), pairs.end()}));
  return json{{"experiment_id", std::to_string(id)}};
}

absl::StatusOr<json> Experiments::get(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::int64_t id, id_in(request));
  LCTL_ASSIGN_OR_RETURN(const storage::Experiment experiment, store_.experiment(id));
  return json{{"experiment", json_of(experiment)}};
}

absl::StatusOr<json> Experiments::get_by_name(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::string name, request.text("experiment_name"));
  LCTL_ASSIGN_OR_RETURN(const storage::Experiment experiment, store_.experiment_named(name));
  return json{{"experiment", json_of(experiment)}};
}

absl::StatusOr<json> Experiments::search(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const storage::Lifecycle lifecycle, lifecycle_in(request, "view_type"));
  const std::vector<std::string_view> attributes = storage::experiment_attributes();
  LCTL_ASSIGN_OR_RETURN(const Search search, search_in(request, attributes));
  LCTL_ASSIGN_OR_RETURN(const auto all, store_.experiments(lifecycle, search.where, search.order));
  return page_of(all, request, "experiments",
                 [](const storage::Experiment& one) { return json_of(one); });
}

absl::StatusOr<json> Experiments::remove(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::int64_t id, id_in(request));
  LCTL_RETURN_IF_ERROR(store_.set_experiment_deleted(id, true));
  return json::object();
}

absl::StatusOr<json> Experiments::restore(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::int64_t id, id_in(request));
  LCTL_RETURN_IF_ERROR(store_.set_experiment_deleted(id, false));
  return json::object();
}

absl::StatusOr<json> Experiments::update(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::int64_t id, id_in(request));
  LCTL_ASSIGN_OR_RETURN(const std::string name, request.text("new_name"));
  LCTL_RETURN_IF_ERROR(store_.rename_experiment(id, name));
  return json::object();
}

absl::StatusOr<json> Experiments::set_tag(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::int64_t id, id_in(request));
  LCTL_ASSIGN_OR_RETURN(const std::string key, request.text("key"));
  LCTL_ASSIGN_OR_RETURN(const std::string value, request.text_or_empty("value"));
  LCTL_RETURN_IF_ERROR(store_.tag_experiment(id, key, value));
  return json::object();
}

absl::StatusOr<json> Experiments::delete_tag(const Fields& request) {
  LCTL_ASSIGN_OR_RETURN(const std::int64_t id, id_in(request));
  LCTL_ASSIGN_OR_RETURN(const std::string key, request.text("key"));
  LCTL_RETURN_IF_ERROR(store_.tag_experiment(id, key, std::nullopt));
  return json::object();
}

}  // namespace lctl::mlflow
