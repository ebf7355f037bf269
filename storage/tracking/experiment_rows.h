// Rows of experiments.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "storage/search/filter_matching.h"
#include "storage/sqlite/connection.h"
#include "storage/tracking/tracking_store.h"

// Errors of SQL are SQLite::Exception; those that write: inside a transaction of the writer. Each
// does what TrackingStore documents for the method of its name.
namespace lctl::storage {

absl::StatusOr<Experiment> read_experiment(Connection& connection, std::int64_t id);
absl::StatusOr<Experiment> read_experiment_named(Connection& connection, std::string_view name);
std::vector<Experiment> read_experiments(Connection& connection, Lifecycle lifecycle);

absl::StatusOr<std::int64_t> insert_experiment(Connection& connection, const std::string& name,
                                               const Tags& tags, std::int64_t now_us);
absl::Status write_experiment_deleted(Connection& connection, std::int64_t id, bool deleted,
                                      std::int64_t now_us);
absl::Status write_experiment_name(Connection& connection, std::int64_t id, const std::string& name,
                                   std::int64_t now_us);
absl::Status write_experiment_tag(Connection& connection, std::int64_t id, const std::string& key,
                                  const std::optional<std::string>& value, std::int64_t now_us);

FoundValue value_of(const Experiment& experiment, const SearchKey& key);

}  // namespace lctl::storage
