#include "storage/blobs/checkpoint_use.h"

#include <fmt/format.h>

#include <string>

namespace lctl::storage {
namespace {

absl::Status check(std::int64_t limit, std::int64_t use, std::string_view who, const char* option) {
  if (use <= limit) return absl::OkStatus();
  return absl::ResourceExhaustedError(fmt::format(
      "the checkpoints of {} would take {} bytes of the store, and may take {}: further ones wait "
      "on "
      "their nodes, training goes on; delete jobs (`lctl rm`), keep fewer (`retention:` in the job "
      "file), or ask whoever runs the server to raise {}",
      who, use, limit, option));
}

}  // namespace

absl::Status check_use(Connection& connection, const JobRow& job, const CheckpointQuotas& quotas) {
  if (quotas.per_experiment_bytes > 0) {
    Query query = connection.query(
        "SELECT j.experiment, (SELECT coalesce(sum(c.stored_bytes), 0) FROM jobs o"
        " JOIN checkpoints c ON c.job = o.number WHERE o.experiment = j.experiment"
        " AND c.dropped_us IS NULL) FROM jobs j WHERE j.number = ?1");
    query.bind(job.number);
    query.step();
    LCTL_RETURN_IF_ERROR(check(quotas.per_experiment_bytes, query.integer(1),
                               fmt::format("experiment '{}'", query.text(0)),
                               "--max-checkpoints-per-experiment"));
  }
  if (quotas.per_user_bytes > 0) {
    // "ann" of "ann@host".
    Query query = connection.query(
        "WITH u (job, user) AS (SELECT number, substr(submitted_by, 1,"
        " instr(submitted_by || '@', '@') - 1) FROM jobs)"
        " SELECT m.user, (SELECT coalesce(sum(c.stored_bytes), 0) FROM u"
        " JOIN checkpoints c ON c.job = u.job WHERE u.user = m.user AND c.dropped_us IS NULL)"
        " FROM u m WHERE m.job = ?1");
    query.bind(job.number);
    query.step();
    LCTL_RETURN_IF_ERROR(check(quotas.per_user_bytes, query.integer(1),
                               fmt::format("user '{}'", query.text(0)),
                               "--max-checkpoints-per-user"));
  }
  return absl::OkStatus();
}

}  // namespace lctl::storage
