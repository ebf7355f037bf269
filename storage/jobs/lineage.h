// Which part of each attempt's history the job stands on now.
#pragma once

#include <cstdint>
#include <vector>

#include "base/id.h"
#include "storage/jobs/job_rows.h"
#include "storage/sqlite/connection.h"

namespace lctl::storage {

// The chain from a job's current attempt back through the checkpoints that each attempt resumed
// from. Of the current attempt all counts; of an earlier one what lies before the capture of the
// checkpoint from which the next one in the chain went on; of an attempt outside the chain nothing.
// An attempt that started from the beginning ends the chain.
//
// Offsets are those of rank 0's spool: it writes the metrics and the checkpoints.
// Thread rule: immutable.
class Lineage {
 public:
  // Errors: SQLite::Exception.
  static Lineage load(Connection& connection, const JobRow& job);

  // Whether the event that rank 0 wrote at this offset lies on the chain; if not, it is superseded.
  bool holds_event(AttemptNumber attempt, std::uint64_t offset) const;

  // Whether a checkpoint captured at this offset lies on the chain.
  bool holds_checkpoint(AttemptNumber attempt, std::uint64_t spool_offset) const;

 private:
  struct Link {
    AttemptNumber attempt = 0;
    std::uint64_t end = 0;  // first offset that does not count any more
  };
  const Link* find(AttemptNumber attempt) const;

  std::vector<Link> links_;  // newest attempt first
};

}  // namespace lctl::storage
