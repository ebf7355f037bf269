// MLflow's endpoints for logged models.
#pragma once

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "server/mlflow/fields.h"
#include "storage/store.h"

namespace lctl::mlflow {

// Each answers the endpoint of its name. `store` must outlive it. Thread rule: internally locked.
class LoggedModels {
 public:
  explicit LoggedModels(storage::Store& store) : store_(store) {}

  absl::StatusOr<nlohmann::json> create(const Fields& request);
  absl::StatusOr<nlohmann::json> get(const Fields& request);
  absl::StatusOr<nlohmann::json> finalize(const Fields& request);
  absl::StatusOr<nlohmann::json> remove(const Fields& request);
  absl::StatusOr<nlohmann::json> search(const Fields& request);
  absl::StatusOr<nlohmann::json> log_params(const Fields& request);
  absl::StatusOr<nlohmann::json> set_tags(const Fields& request);
  absl::StatusOr<nlohmann::json> delete_tag(const Fields& request);

 private:
  storage::Store& store_;
};

}  // namespace lctl::mlflow
