#include "storage/jobs/job_rows.h"

#include <fmt/format.h>

namespace lctl::storage {

std::optional<JobRow> find_job(Connection& connection, std::string_view id) {
  Query query = connection.query("SELECT number, attempt, state FROM jobs WHERE id = ?1");
  query.bind(id);
  if (!query.step()) return std::nullopt;
  return JobRow{.number = query.integer(0),
                .attempt = query.small(1),
                .state = query.enumeration<v1::JobState>(2)};
}

absl::StatusOr<JobRow> require_job(Connection& connection, std::string_view id) {
  const std::optional<JobRow> row = find_job(connection, id);
  if (!row) return absl::NotFoundError(fmt::format("there is no job '{}'", id));
  return *row;
}

absl::StatusOr<JobRow> require_finished(Connection& connection, const JobId& id) {
  LCTL_ASSIGN_OR_RETURN(const JobRow row, require_job(connection, id.str()));
  if (row.state == v1::JOB_STATE_SUCCEEDED || row.state == v1::JOB_STATE_FAILED ||
      row.state == v1::JOB_STATE_STOPPED) {
    return row;
  }
  return absl::FailedPreconditionError(
      fmt::format("job {} has not ended: only what has is deleted; stop it first", id.str()));
}

}  // namespace lctl::storage
