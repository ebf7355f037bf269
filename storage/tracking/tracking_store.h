// Experiments, and the runs that scripts log from outside: what MLflow's clients see of the store.
//
// A run is a job (JobStore) of Origin::kLogged: the same lists, searches, tags and curves show it.
// Submitted jobs are runs too, to be read; their history is written by the engine alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/job.pb.h"
#include "storage/jobs/job_store.h"
#include "storage/jobs/label_change.h"
#include "storage/search/filter.h"

namespace lctl::storage {

inline constexpr std::int64_t kDefaultExperiment = 0;  // always there
inline constexpr std::size_t kMaxExperimentNameBytes = 500;
inline constexpr std::size_t kMaxRunNameBytes = 500;
inline constexpr std::size_t kMaxParametersOfRun = 10'000;
inline constexpr std::size_t kMaxMetricsOfRun = 10'000;  // keys
inline constexpr std::size_t kMaxInputsOfRun = 1'000;    // datasets, and models

struct Experiment {
  std::int64_t id = 0;
  std::string name;
  std::int64_t created_us = 0;
  std::int64_t updated_us = 0;
  bool deleted = false;
  Tags tags;
};

// The newest point of a metric's curve.
struct LastMetric {
  std::string key;
  double value = 0;
  std::int64_t time_us = 0;
  std::int64_t step = 0;
};

struct Dataset {
  std::string name;
  std::string digest;
  std::string source_type;
  std::string source;
  std::string schema;
  std::string profile;
  Tags tags;
};

// A model that a run has made (output) or used.
struct RunModel {
  std::string model;
  bool output = false;
  std::int64_t step = 0;
};

struct Run {
  JobId id;
  std::string name;
  std::int64_t experiment = 0;  // its id
  std::string user;
  Origin origin = Origin::kLogged;
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  std::int64_t start_us = 0;
  std::int64_t end_us = 0;  // 0 = not ended
  bool deleted = false;
  Tags tags;
  std::string note;
  std::vector<std::pair<std::string, std::string>> parameters;  // by key
  std::vector<LastMetric> metrics;                              // by key
  std::vector<Dataset> datasets;
  std::vector<RunModel> models;
};

// Where a run belongs: what its files' paths need.
struct RunPlace {
  std::int64_t experiment = 0;
  Origin origin = Origin::kLogged;
};

struct NewRun {
  std::int64_t experiment = 0;
  std::string name;
  std::string user;
  std::int64_t start_us = 0;
  Tags tags;
  std::string note;
};

// What is not said stays.
struct RunUpdate {
  std::optional<std::string> name;
  std::optional<v1::JobState> state;
  std::optional<std::int64_t> end_us;
};

struct LoggedPoint {
  std::string key;
  double value = 0;
  std::int64_t time_us = 0;
  std::int64_t step = 0;
};

// Applied whole or not at all.
struct RunBatch {
  std::vector<LoggedPoint> points;
  std::vector<std::pair<std::string, std::string>> parameters;
  LabelChange labels;
  std::optional<std::string> name;
  std::vector<Dataset> datasets;
  std::vector<RunModel> models;
};

struct RunFilter {
  std::vector<std::int64_t> experiments;  // none = no run
  Lifecycle lifecycle = Lifecycle::kActive;
  Filter where;              // as JobFilter's
  std::vector<Order> order;  // as JobFilter's
  std::string before;        // as JobFilter's
  int limit = 1000;          // at least 1
};

// Part of Store; same errors and thread rule. Everywhere: NotFound for an experiment or run that
// does not exist; InvalidArgument for names and texts out of bounds.
class TrackingStore {
 public:
  virtual ~TrackingStore() = default;

  // --- experiments ---

  // AlreadyExists when an experiment, deleted or not, has the name.
  virtual absl::StatusOr<std::int64_t> create_experiment(const std::string& name,
                                                         const Tags& tags) = 0;
  virtual absl::StatusOr<Experiment> experiment(std::int64_t id) const = 0;
  virtual absl::StatusOr<Experiment> experiment_named(std::string_view name) const = 0;
  // All that fit, newest first or in order. Keys: experiment_attributes() and tags.
  virtual absl::StatusOr<std::vector<Experiment>> experiments(
      Lifecycle lifecycle, const Filter& where, const std::vector<Order>& order) const = 0;
  // Its runs go and come with it. FailedPrecondition for the default experiment, and while jobs of
  // it are unfinished.
  virtual absl::Status set_experiment_deleted(std::int64_t id, bool deleted) = 0;
  // FailedPrecondition for the default experiment, a deleted one, and while submitted jobs of it
  // are unfinished; AlreadyExists.
  virtual absl::Status rename_experiment(std::int64_t id, const std::string& name) = 0;
  // Sets the tag, or without a value removes it (NotFound when it is not there).
  virtual absl::Status tag_experiment(std::int64_t id, const std::string& key,
                                      const std::optional<std::string>& value) = 0;

  // --- runs ---

  // RUNNING. FailedPrecondition in a deleted experiment.
  virtual absl::StatusOr<Run> create_run(const NewRun& run) = 0;
  virtual absl::StatusOr<Run> run(const JobId& id) const = 0;
  virtual absl::StatusOr<RunPlace> place(const JobId& id) const = 0;
  // Newest first or in the filter's order.
  virtual absl::StatusOr<std::vector<Run>> runs(const RunFilter& filter) const = 0;

  // The rest changes runs of Origin::kLogged only: FailedPrecondition for others, saying why, and
  // for deleted ones.
  virtual absl::StatusOr<Run> update_run(const JobId& id, const RunUpdate& update) = 0;
  // Deleting a deleted run, and restoring an active one, changes nothing.
  virtual absl::Status set_run_deleted(const JobId& id, bool deleted) = 0;
  // A point that is there already (same key, time, step and value), a parameter that has this value
  // already: not written again, so a repeated call is harmless. InvalidArgument for a parameter
  // that has another value.
  virtual absl::Status log(const JobId& id, const RunBatch& batch) = 0;
};

// What an experiment's filter may name beside tags.
std::vector<std::string_view> experiment_attributes();

}  // namespace lctl::storage
