#include "storage/jobs/lineage.h"

#include <algorithm>
#include <limits>

namespace lctl::storage {

Lineage Lineage::load(Connection& connection, const JobRow& job) {
  Lineage lineage;
  lineage.links_.push_back({job.attempt, std::numeric_limits<std::uint64_t>::max()});
  while (true) {
    const AttemptNumber attempt = lineage.links_.back().attempt;
    Query query = connection.query(
        "SELECT c.attempt, c.spool_offset FROM attempts a JOIN checkpoints c"
        " ON c.number = a.resumed_from AND c.job = a.job WHERE a.job = ?1 AND a.number = ?2");
    query.bind(job.number, attempt);
    if (!query.step()) return lineage;
    const Link link{query.small(0), query.offset(1)};
    // An attempt resumes from an earlier one; anything else would make the chain endless.
    if (link.attempt >= attempt) return lineage;
    lineage.links_.push_back(link);
  }
}

const Lineage::Link* Lineage::find(AttemptNumber attempt) const {
  const auto found = std::lower_bound(
      links_.begin(), links_.end(), attempt,
      [](const Link& link, AttemptNumber wanted) { return link.attempt > wanted; });
  return found == links_.end() || found->attempt != attempt ? nullptr : &*found;
}

bool Lineage::holds_event(AttemptNumber attempt, std::uint64_t offset) const {
  const Link* link = find(attempt);
  return link != nullptr && offset < link->end;
}

bool Lineage::holds_checkpoint(AttemptNumber attempt, std::uint64_t spool_offset) const {
  const Link* link = find(attempt);
  return link != nullptr && spool_offset <= link->end;
}

}  // namespace lctl::storage
