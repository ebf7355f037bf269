// From where the next attempt of a job begins. Pure.
#pragma once

#include <span>

#include "server/jobs/job_record.h"
#include "storage/blobs/checkpoint_store.h"

namespace lctl::jobs {

enum class RestartPoint { kBeginning, kNewest, kBest };

// What of the job's checkpoints the next attempt may go on from.
storage::Eligible eligible(const JobRecord& record);

// What `job.restart_from` means for the attempt that follows: `best` only for one that follows a
// failure (who was lost, made room or was resumed goes on where it was), `none` for all.
RestartPoint restart_point(const JobRecord& record);

// The best by the metric of the newest one that ModelCheckpoint has scored; of equal ones the
// newest, and a score that is no number is the worst. last.ckpt does not count: it is a copy; nor
// do those that are damaged or not eligible. nullptr when none has a score. `checkpoints`: oldest
// first.
const storage::CheckpointRow* best_checkpoint(std::span<const storage::CheckpointRow> checkpoints,
                                              const storage::Eligible& eligible = {});

}  // namespace lctl::jobs
