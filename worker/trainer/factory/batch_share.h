// How an elastic job's batches are dealt out to the ranks that are there.
#pragma once

#include <cstdint>

#include "proto/lctl/v1/job.pb.h"

namespace lctl {

// Batch sizes of a job file are those of a rank when all nodes are there. With fewer each rank
// takes more, so that all ranks together always take the same samples: numbers of batches, steps
// and schedules do not depend on who is there. Immutable.
struct BatchShare {
  std::int64_t full_world = 1;  // ranks when all nodes are there
  std::int64_t world = 1;       // ranks now
  // An epoch is filled up to a multiple of it; 0 = of the ranks. One for all numbers of ranks, so
  // that its last batch holds the same samples whoever is there.
  std::int64_t pad_to = 0;

  std::int64_t of(std::int64_t batch_size) const;
};

// Of a job that is not elastic: nothing changes. Throws MisconfigurationException for a number of
// ranks that the job cannot have.
BatchShare batch_share(const v1::JobSpec& job, int world_size);

}  // namespace lctl
