// Which finished jobs, or parts of them, are kept no longer. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "storage/jobs/job_store.h"

namespace lctl::retention {

// All ages count from a job's end. Unset = for ever.
struct Rules {
  std::optional<Duration> keep_jobs;         // then the whole job goes
  std::optional<Duration> keep_checkpoints;  // then its spare ones (CheckpointStore::trim())
  std::optional<Duration> keep_logs;         // then its console output
  std::int64_t max_store_bytes = 0;          // 0 = no limit

  bool empty() const {
    return !keep_jobs && !keep_checkpoints && !keep_logs && max_store_bytes == 0;
  }
};

enum class What { kCheckpoints, kLogs, kJob };

struct Removal {
  What what = What::kJob;
  JobId job;
  std::string name;
  std::int64_t bytes = 0;  // about so many are freed
  std::string reason;      // for people
};

// "checkpoints", "logs", "job".
const char* name_of(What what);

// What goes now, in this order:
//   1. what its age ends, the job that ended first first;
//   2. while the store is still too large, of all jobs, the one that ended first first: spare
//      checkpoints; then console output; then whole jobs.
// Never anything of a job that is kept (tag `keep`) or has not ended. `jobs` are in the order of
// their ends.
std::vector<Removal> removals(const Rules& rules, std::span<const storage::FinishedJob> jobs,
                              std::int64_t store_bytes, WallTime now);

}  // namespace lctl::retention
