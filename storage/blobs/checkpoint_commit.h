// The transaction that makes a checkpoint visible.
#pragma once

#include <cstdint>
#include <optional>

#include "base/id.h"
#include "base/status.h"
#include "storage/blobs/checkpoint_store.h"
#include "storage/jobs/job_rows.h"
#include "storage/sqlite/connection.h"

// Errors of SQL are SQLite::Exception; the caller locks the connection.
namespace lctl::storage {

// InvalidArgument for a manifest that cannot be: names, sizes, hashes, their number, their sum.
absl::Status check_manifest(const Manifest& manifest);

// The id that this very checkpoint (attempt, rank, file, capture, content) was committed under
// before.
std::optional<CheckpointId> find_committed(Connection& connection, const Manifest& manifest);

// FailedPrecondition when the manifest's attempt is not its job's current one.
absl::StatusOr<JobRow> require_current(Connection& connection, const AttemptId& attempt);

// Inserts the checked manifest and applies retention; or returns the id of an earlier commit of it.
absl::StatusOr<CheckpointId> insert_checkpoint(Connection& connection, const Manifest& manifest,
                                               std::int64_t now_us);

}  // namespace lctl::storage
