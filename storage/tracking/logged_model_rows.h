// Rows of logged models.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "storage/search/filter_matching.h"
#include "storage/sqlite/connection.h"
#include "storage/tracking/model_store.h"

// Errors of SQL are SQLite::Exception; those that write: inside a transaction of the writer. Each
// does what ModelStore documents for the method of its name.
namespace lctl::storage {

absl::StatusOr<LoggedModel> insert_logged_model(Connection& connection, const LoggedModel& model,
                                                std::int64_t now_us);
absl::StatusOr<LoggedModel> read_logged_model(Connection& connection, std::string_view id);
// Not deleted, newest first.
std::vector<LoggedModel> read_logged_models(Connection& connection, std::int64_t experiment);
// Status, deleted, params and tags of it, and the time.
void update_logged_model(Connection& connection, const LoggedModel& model, std::int64_t now_us);

FoundValue value_of(const LoggedModel& model, const SearchKey& key);

}  // namespace lctl::storage
