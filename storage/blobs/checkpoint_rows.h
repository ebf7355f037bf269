// Rows of checkpoints and what decides how long they stay.
//
// A checkpoint's row stays for ever: repeated commits find it, and the lineage of metrics rests on
// it. What retention takes away is its manifest ("dropped"), and then garbage collection its
// chunks.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/job.pb.h"
#include "storage/blobs/checkpoint_store.h"
#include "storage/jobs/job_rows.h"
#include "storage/sqlite/connection.h"

// Errors of SQL are SQLite::Exception; the caller locks the connection.
namespace lctl::storage {

// NotFound for an unknown checkpoint, and for one that was dropped. DataLoss for a damaged row.
absl::StatusOr<CheckpointRow> read_checkpoint(Connection& connection, std::string_view id);

// The number of the checkpoint that JobStore's next attempt goes on from: rank 0's newest by
// (attempt, spool offset) that is eligible, neither dropped nor damaged, and lies on the lineage.
absl::StatusOr<std::optional<std::int64_t>> newest_checkpoint(Connection& connection,
                                                              const JobRow& job,
                                                              const Eligible& eligible = {});

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
// did. Damaged ones count for none of these numbers and outdate nobody; they go when sound ones
// would have made them go.
absl::Status apply_retention(Connection& connection, const JobRow& job, std::int64_t now_us);

// Takes a checkpoint's manifest away, and remembers its chunks for garbage collection. Its row
// stays.
void drop_manifest(Connection& connection, std::int64_t number, std::int64_t now_us);

struct SpareCheckpoint {
  std::int64_t number = 0;
  std::int64_t stored_bytes = 0;
};

// Of a job that has ended: checkpoints that nobody would choose. Kept are, of sound ones,
// last.ckpt, the newest of those that were the best by their metric, and the newest of all when the
// job can be resumed (it has not succeeded) or when there would be none else.
absl::StatusOr<std::vector<SpareCheckpoint>> spare_checkpoints(Connection& connection,
                                                               const JobRow& job,
                                                               v1::JobState state);

}  // namespace lctl::storage
