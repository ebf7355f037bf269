// Rows of registered models and their versions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "storage/search/filter_matching.h"
#include "storage/sqlite/connection.h"
#include "storage/tracking/model_store.h"

// Errors of SQL are SQLite::Exception; those that write: inside a transaction of the writer.
namespace lctl::storage {

// A registered model without `latest`, and its number.
struct ModelRow {
  std::int64_t number = 0;
  RegisteredModel model;
};

absl::StatusOr<ModelRow> require_model(Connection& connection, std::string_view name);
std::vector<ModelRow> read_models(Connection& connection);  // by name

absl::Status insert_model(Connection& connection, const std::string& name,
                          const std::string& description, const Tags& tags, std::int64_t now_us);
// Name, description, tags and aliases of it, and the time.
void update_model(Connection& connection, const ModelRow& row, std::int64_t now_us);

absl::StatusOr<ModelVersion> require_version(Connection& connection, const ModelRow& model,
                                             std::int64_t version);
// Newest first.
std::vector<ModelVersion> read_versions(Connection& connection, const ModelRow& model);

// Returns its number.
std::int64_t insert_version(Connection& connection, const ModelRow& model,
                            const ModelVersion& version, std::int64_t now_us);
// Stage, description and tags of it, and the time.
void update_version(Connection& connection, const ModelRow& model, const ModelVersion& version,
                    std::int64_t now_us);

FoundValue value_of(const RegisteredModel& model, const SearchKey& key);
FoundValue value_of(const ModelVersion& version, const SearchKey& key);

// The newest of each stage; `versions` are newest first.
std::vector<ModelVersion> latest_of(const std::vector<ModelVersion>& versions);

// InvalidArgument for what cannot be an alias: a text of other than letters, digits, _ and -,
// "latest", and what reads as a version ("v1").
absl::Status check_alias(std::string_view alias);

}  // namespace lctl::storage
