// MLflow's endpoints for the history of metrics.
#pragma once

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "server/mlflow/fields.h"
#include "storage/store.h"

namespace lctl::mlflow {

// Each answers the endpoint of its name. `store` must outlive it. Thread rule: internally locked.
class Metrics {
 public:
  explicit Metrics(storage::Store& store) : store_(store) {}

  // A page of all points of a curve, in the order of steps.
  absl::StatusOr<nlohmann::json> get_history(const Fields& request);

  // Curves of several runs, each with about max_results points: down-sampled as drawings are, so
  // that minima and maxima stay.
  absl::StatusOr<nlohmann::json> get_history_bulk_interval(const Fields& request);

 private:
  storage::Store& store_;
};

}  // namespace lctl::mlflow
