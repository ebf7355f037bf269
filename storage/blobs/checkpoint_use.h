// Whether the checkpoints of a job's user and experiment are within their quotas.
#pragma once

#include "base/status.h"
#include "storage/blobs/checkpoint_quotas.h"
#include "storage/jobs/job_rows.h"
#include "storage/sqlite/connection.h"

namespace lctl::storage {

// ResourceExhausted, with the limit, the use and what to do, when they are not. Costs a look at
// each checkpoint that they have, and nothing without quotas. Errors of SQL are SQLite::Exception;
// the caller locks the connection.
absl::Status check_use(Connection& connection, const JobRow& job, const CheckpointQuotas& quotas);

}  // namespace lctl::storage
