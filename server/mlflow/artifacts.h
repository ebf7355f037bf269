// MLflow's endpoints for files: of a run by its id, and by path as its clients upload and download.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "http/message.h"
#include "server/mlflow/fields.h"
#include "storage/store.h"
#include "storage/tracking/artifact_store.h"
#include "storage/tracking/tracking_store.h"

namespace lctl::mlflow {

// Files lie below "<experiment>/<run>/artifacts/" of a run, and below
// "<experiment>/models/<model>/artifacts/" of a logged model; nowhere else. A submitted job has its
// checkpoints there, under checkpoints/, to be read. `store` must outlive it, and what it returns.
// Thread rule: internally locked.
class Artifacts {
 public:
  explicit Artifacts(storage::Store& store) : store_(store) {}

  // What lies in a folder of a run (`run_id`, `path`), with paths below the run's artifact_uri.
  absl::StatusOr<nlohmann::json> list_of_run(const Fields& request);
  // The same of a logged model (`model_id`, `artifact_directory_path`).
  absl::StatusOr<nlohmann::json> list_of_model(const Fields& request);
  // The same by path, with names alone.
  absl::StatusOr<nlohmann::json> list(const Fields& request);

  // The file at the path parameter `path`, piece by piece.
  http::Response download(const http::Request& request);
  std::variant<std::unique_ptr<http::Upload>, http::Response> upload(const http::Request& request);
  // A file, or a folder with all in it.
  absl::StatusOr<nlohmann::json> remove(const Fields& request);

 private:
  struct Place;
  absl::StatusOr<Place> place_of(const std::string& path) const;
  absl::StatusOr<Place> writable_place_of(const std::string& path) const;
  absl::StatusOr<std::vector<storage::Artifact>> entries(const Place& place) const;
  absl::StatusOr<nlohmann::json> page(const std::string& root, const std::string& path) const;
  http::Response checkpoint(const JobId& job, std::string_view name) const;

  storage::Store& store_;
};

}  // namespace lctl::mlflow
