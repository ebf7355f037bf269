// From a request's fields to what the store logs.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "server/mlflow/fields.h"
#include "storage/tracking/tracking_store.h"

namespace lctl::mlflow {

// {"key", "value", "timestamp", "step"}; InvalidArgument as MLflow's validation says.
absl::StatusOr<storage::LoggedPoint> point_in(const Fields& metric);

absl::StatusOr<storage::Dataset> dataset_in(const Fields& input);

// Sets a tag in the batch; those that stand for name, note or user become that.
void add_tag(storage::RunBatch& batch, std::string key, std::string value);

// InvalidArgument unless the key is of MLflow's characters: letters, digits, _ - . space : /, and
// reads as a plain relative path.
absl::Status check_name(std::string_view what, std::string_view key);

}  // namespace lctl::mlflow
