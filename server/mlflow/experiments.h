// MLflow's endpoints for experiments.
#pragma once

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "server/mlflow/fields.h"
#include "storage/tracking/tracking_store.h"

namespace lctl::mlflow {

// Each answers the endpoint of its name. `store` must outlive it. Thread rule: internally locked.
class Experiments {
 public:
  explicit Experiments(storage::TrackingStore& store) : store_(store) {}

  absl::StatusOr<nlohmann::json> create(const Fields& request);
  absl::StatusOr<nlohmann::json> get(const Fields& request);
  absl::StatusOr<nlohmann::json> get_by_name(const Fields& request);
  absl::StatusOr<nlohmann::json> search(const Fields& request);
  absl::StatusOr<nlohmann::json> remove(const Fields& request);
  absl::StatusOr<nlohmann::json> restore(const Fields& request);
  absl::StatusOr<nlohmann::json> update(const Fields& request);
  absl::StatusOr<nlohmann::json> set_tag(const Fields& request);
  absl::StatusOr<nlohmann::json> delete_tag(const Fields& request);

 private:
  storage::TrackingStore& store_;
};

}  // namespace lctl::mlflow
