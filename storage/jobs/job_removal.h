// Jobs that have ended: what they take, and how they go.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "storage/jobs/job_rows.h"
#include "storage/jobs/job_store.h"
#include "storage/sqlite/connection.h"

// Errors of SQL are SQLite::Exception; the caller locks the connection.
namespace lctl::storage {

absl::StatusOr<std::vector<FinishedJob>> read_finished(Connection& connection);

// Deletes all rows of the job, and remembers the chunks of its checkpoints and artifacts for
// garbage collection. Returns the bytes of chunks that came with the checkpoints.
absl::StatusOr<std::int64_t> delete_job(Connection& connection, const JobRow& job,
                                        std::int64_t now_us);

}  // namespace lctl::storage
