// MLflow's endpoints for runs: their life, and what is logged into them.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/job.pb.h"
#include "server/mlflow/fields.h"
#include "storage/store.h"
#include "storage/tracking/tracking_store.h"

namespace lctl::mlflow {

// MLflow's own bounds of one request.
inline constexpr std::size_t kMaxMetricsOfBatch = 1'000;
inline constexpr std::size_t kMaxParamsOfBatch = 100;
inline constexpr std::size_t kMaxTagsOfBatch = 100;

// Changes tags and note of a submitted job: the engine must know, since it holds unfinished ones.
using LabelJob = std::function<absl::StatusOr<v1::Job>(const JobId&, const storage::LabelChange&)>;

// Each answers the endpoint of its name. `store` must outlive it. Thread rule: internally locked.
class Runs {
 public:
  Runs(storage::Store& store, LabelJob label_job);

  absl::StatusOr<nlohmann::json> create(const Fields& request);
  absl::StatusOr<nlohmann::json> get(const Fields& request);
  absl::StatusOr<nlohmann::json> update(const Fields& request);
  absl::StatusOr<nlohmann::json> remove(const Fields& request);
  absl::StatusOr<nlohmann::json> restore(const Fields& request);
  absl::StatusOr<nlohmann::json> search(const Fields& request);

  absl::StatusOr<nlohmann::json> log_metric(const Fields& request);
  absl::StatusOr<nlohmann::json> log_param(const Fields& request);
  absl::StatusOr<nlohmann::json> log_batch(const Fields& request);
  absl::StatusOr<nlohmann::json> log_inputs(const Fields& request);
  absl::StatusOr<nlohmann::json> log_outputs(const Fields& request);
  absl::StatusOr<nlohmann::json> log_model(const Fields& request);
  absl::StatusOr<nlohmann::json> set_tag(const Fields& request);
  absl::StatusOr<nlohmann::json> delete_tag(const Fields& request);

 private:
  absl::Status log(const JobId& id, storage::RunBatch batch);

  storage::Store& store_;
  storage::TrackingStore& tracking_;
  const LabelJob label_job_;
};

}  // namespace lctl::mlflow
