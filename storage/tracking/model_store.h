// Models that runs have logged, and the registry in which some of them have a name and versions, as
// MLflow's clients know both. Their files lie in the ArtifactStore.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "storage/jobs/label_change.h"
#include "storage/search/filter.h"

namespace lctl::storage {

inline constexpr std::size_t kMaxModelNameBytes = 250;
inline constexpr std::size_t kMaxModelTextBytes = 16 << 10;  // description, source
inline constexpr std::size_t kMaxModelParams = 10'000;

// As in logged_models.status, and MLflow's LoggedModelStatus.
enum class ModelStatus { kPending = 1, kReady = 2, kFailed = 3 };

struct LoggedModel {
  std::string id;  // "m-…"
  std::int64_t experiment = 0;
  std::string name;
  std::string source_run;  // "" = none
  std::string type;
  ModelStatus status = ModelStatus::kPending;
  std::int64_t created_us = 0;
  std::int64_t updated_us = 0;
  bool deleted = false;
  Tags params;
  Tags tags;
};

struct ModelVersion {
  std::string model;  // the registered model's name
  std::int64_t version = 0;
  std::string source;  // where its files are: "models:/m-…", "mlflow-artifacts:/…", "runs:/…"
  std::string run;     // "" = none
  std::string logged;  // LoggedModel::id; "" = none
  std::string stage;   // "None", "Staging", "Production" or "Archived"
  std::string description;
  std::int64_t created_us = 0;
  std::int64_t updated_us = 0;
  Tags tags;
  std::vector<std::string> aliases;
};

struct RegisteredModel {
  std::string name;
  std::string description;
  std::int64_t created_us = 0;
  std::int64_t updated_us = 0;
  Tags tags;
  std::vector<std::pair<std::string, std::int64_t>> aliases;  // to the version that each stands for
  std::vector<ModelVersion> latest;                           // the newest of each stage
};

// Part of Store; same errors and thread rule. Everywhere: NotFound for a model or version that does
// not exist; InvalidArgument for names and texts out of bounds.
class ModelStore {
 public:
  virtual ~ModelStore() = default;

  // --- logged models ---

  // A pending one: of `model` its experiment, name ("" = one is made), source_run, type, params and
  // tags count.
  virtual absl::StatusOr<LoggedModel> create_logged(const LoggedModel& model) = 0;
  // Deleted ones too.
  virtual absl::StatusOr<LoggedModel> logged(std::string_view id) const = 0;
  // Of these experiments all that fit, newest first or in order. Keys: logged_model_attributes(),
  // params and tags.
  virtual absl::StatusOr<std::vector<LoggedModel>> search_logged(
      const std::vector<std::int64_t>& experiments, const Filter& where,
      const std::vector<Order>& order) const = 0;
  virtual absl::StatusOr<LoggedModel> finish_logged(std::string_view id, ModelStatus status) = 0;
  virtual absl::Status delete_logged(std::string_view id) = 0;
  virtual absl::StatusOr<LoggedModel> label_logged(std::string_view id,
                                                   const LabelChange& change) = 0;
  // InvalidArgument for one that has another value already.
  virtual absl::Status add_logged_params(std::string_view id, const Tags& params) = 0;

  // --- the registry ---

  // AlreadyExists.
  virtual absl::StatusOr<RegisteredModel> create_model(const std::string& name,
                                                       const std::string& description,
                                                       const Tags& tags) = 0;
  virtual absl::StatusOr<RegisteredModel> model(std::string_view name) const = 0;
  // By name or in order. Keys: registered_model_attributes() and tags.
  virtual absl::StatusOr<std::vector<RegisteredModel>> search_models(
      const Filter& where, const std::vector<Order>& order) const = 0;
  virtual absl::Status rename_model(std::string_view name, const std::string& new_name) = 0;
  virtual absl::Status describe_model(std::string_view name, const std::string& text) = 0;
  // With all its versions; files stay.
  virtual absl::Status delete_model(std::string_view name) = 0;
  // Sets the tag, or without a value removes it (no error when it is not there).
  virtual absl::Status tag_model(std::string_view name, const std::string& key,
                                 const std::optional<std::string>& value) = 0;
  // Makes the alias stand for a version, or (nullopt) for none.
  virtual absl::Status set_alias(std::string_view name, const std::string& alias,
                                 std::optional<std::int64_t> version) = 0;

  // The next version: of `version` its model, source, run, logged, description and tags count.
  virtual absl::StatusOr<ModelVersion> create_version(const ModelVersion& version) = 0;
  virtual absl::StatusOr<ModelVersion> version(std::string_view name,
                                               std::int64_t version) const = 0;
  virtual absl::StatusOr<ModelVersion> version_of_alias(std::string_view name,
                                                        std::string_view alias) const = 0;
  // Newest first or in order. Keys: model_version_attributes() and tags.
  virtual absl::StatusOr<std::vector<ModelVersion>> search_versions(
      const Filter& where, const std::vector<Order>& order) const = 0;
  virtual absl::Status describe_version(std::string_view name, std::int64_t version,
                                        const std::string& text) = 0;
  // `archive_others`: other versions of that stage become "Archived".
  virtual absl::Status set_stage(std::string_view name, std::int64_t version,
                                 const std::string& stage, bool archive_others) = 0;
  // Its number is not given again.
  virtual absl::Status delete_version(std::string_view name, std::int64_t version) = 0;
  virtual absl::Status tag_version(std::string_view name, std::int64_t version,
                                   const std::string& key,
                                   const std::optional<std::string>& value) = 0;
};

// What filters may name beside tags (and params).
std::vector<std::string_view> logged_model_attributes();
std::vector<std::string_view> registered_model_attributes();
std::vector<std::string_view> model_version_attributes();

// PENDING, READY or UPLOAD_FAILED, as searches call it.
std::string_view name_of(ModelStatus status);

}  // namespace lctl::storage
