// Which jobs a JobFilter selects, and in which order.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "storage/jobs/job_store.h"
#include "storage/sqlite/connection.h"

namespace lctl::storage {

// Numbers of the jobs, as JobStore::list() documents. Looks at the jobs newest first, of each at
// what the filter names and no more; with an order at all of them. Errors of SQL are
// SQLite::Exception; caller locks the connection and has a transaction open.
absl::StatusOr<std::vector<std::int64_t>> find_jobs(Connection& connection,
                                                    const JobFilter& filter);

// As JobStore::values() documents. Same errors and locks.
absl::StatusOr<std::vector<std::vector<FoundValue>>> find_values(Connection& connection,
                                                                 std::span<const std::string> jobs,
                                                                 std::span<const SearchKey> keys);

}  // namespace lctl::storage
