// MLflow's endpoints for registered models and their versions.
#pragma once

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "server/mlflow/fields.h"
#include "storage/store.h"

namespace lctl::mlflow {

// Each answers the endpoint of its name. `store` must outlive it. Thread rule: internally locked.
class ModelRegistry {
 public:
  explicit ModelRegistry(storage::Store& store) : store_(store) {}

  absl::StatusOr<nlohmann::json> create_model(const Fields& request);
  absl::StatusOr<nlohmann::json> get_model(const Fields& request);
  absl::StatusOr<nlohmann::json> search_models(const Fields& request);
  absl::StatusOr<nlohmann::json> rename_model(const Fields& request);
  absl::StatusOr<nlohmann::json> update_model(const Fields& request);
  absl::StatusOr<nlohmann::json> delete_model(const Fields& request);
  absl::StatusOr<nlohmann::json> set_model_tag(const Fields& request);
  absl::StatusOr<nlohmann::json> delete_model_tag(const Fields& request);
  absl::StatusOr<nlohmann::json> set_alias(const Fields& request);
  absl::StatusOr<nlohmann::json> delete_alias(const Fields& request);
  absl::StatusOr<nlohmann::json> get_by_alias(const Fields& request);
  absl::StatusOr<nlohmann::json> get_latest_versions(const Fields& request);

  absl::StatusOr<nlohmann::json> create_version(const Fields& request);
  absl::StatusOr<nlohmann::json> get_version(const Fields& request);
  absl::StatusOr<nlohmann::json> search_versions(const Fields& request);
  absl::StatusOr<nlohmann::json> update_version(const Fields& request);
  absl::StatusOr<nlohmann::json> transition_stage(const Fields& request);
  absl::StatusOr<nlohmann::json> delete_version(const Fields& request);
  absl::StatusOr<nlohmann::json> set_version_tag(const Fields& request);
  absl::StatusOr<nlohmann::json> delete_version_tag(const Fields& request);
  absl::StatusOr<nlohmann::json> get_download_uri(const Fields& request);

 private:
  storage::Store& store_;
};

}  // namespace lctl::mlflow
