// MLflow's REST protocol (2.0, and what its clients of version 3 ask for): which path is which
// endpoint. docs/mlflow.md tells users what works.
#pragma once

#include <cstddef>

#include "http/router.h"
#include "server/mlflow/artifacts.h"
#include "server/mlflow/experiments.h"
#include "server/mlflow/logged_models.h"
#include "server/mlflow/metrics.h"
#include "server/mlflow/model_registry.h"
#include "server/mlflow/runs.h"
#include "storage/store.h"

namespace lctl::mlflow {

// The version of MLflow whose protocol this is: what its clients ask /version for.
inline constexpr const char* kProtocolVersion = "3.17.2";

// Bodies but for files are at most this long.
inline constexpr std::size_t kMaxRequestBytes = 4 << 20;
inline constexpr std::size_t kMaxInputsRequestBytes = 40 << 20;  // profiles of datasets

// The store outlives it, and it outlives the router's server. Thread rule: internally locked.
class Api {
 public:
  Api(storage::Store& store, LabelJob label_job);

  void add_routes(http::Router& router);

 private:
  void add_experiments(http::Router& router);
  void add_runs(http::Router& router);
  void add_artifacts(http::Router& router);
  void add_models(http::Router& router);
  void add_registry(http::Router& router);

  Experiments experiments_;
  Runs runs_;
  Metrics metrics_;
  Artifacts artifacts_;
  LoggedModels models_;
  ModelRegistry registry_;
};

}  // namespace lctl::mlflow
