// Rows of checkpoints and what decides how long they stay.
//
// A checkpoint's row stays for ever: repeated commits find it, and the lineage of metrics rests on
// it. What retention takes away is its manifest ("dropped"), and then garbage collection its
// chunks.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/id.h"
#include "base/status.h"
#include "storage/blobs/checkpoint_store.h"
#include "storage/jobs/job_rows.h"
#include "storage/sqlite/connection.h"

// Errors of SQL are SQLite::Exception; the caller locks the connection.
namespace lctl::storage {

// NotFound for an unknown checkpoint, and for one that was dropped. DataLoss for a damaged row.
absl::StatusOr<CheckpointRow> read_checkpoint(Connection& connection, std::string_view id);

// The number of the checkpoint that JobStore's next attempt goes on from: rank 0's newest by
// (attempt, spool offset) that is not dropped and lies on the lineage.
std::optional<std::int64_t> newest_checkpoint(Connection& connection, const JobRow& job);

// Notes that rank 0 of `attempt` reported at `spool_offset` that its callback removed the file
// `name`: now for what is committed, and for the upload of it that may still be on its way.
absl::Status mark_removed(Connection& connection, const JobRow& job, AttemptNumber attempt,
                          std::uint64_t spool_offset, std::string_view name, std::int64_t now_us);

// Drops what the job does not keep:
//   ModelCheckpoint's checkpoints that their callback removed, or wrote again under the same name;
//   with retention.keep_best those that are not among the best so many of their metric; never
//   last.ckpt, nor those without a monitored metric;
//   recovery and stop checkpoints beyond the newest retention.keep_last of the two kinds together,
//   but for the first at or past each multiple of retention.keep_every steps.
// Never the one that the next attempt would resume from, nor the one that an unfinished attempt
// did.
absl::Status apply_retention(Connection& connection, const JobRow& job, std::int64_t now_us);

}  // namespace lctl::storage
