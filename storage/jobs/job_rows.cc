#include "storage/jobs/job_rows.h"

#include <fmt/format.h>

namespace lctl::storage {

std::optional<JobRow> find_job(Connection& connection, std::string_view id) {
  Query query = connection.query("SELECT number, attempt FROM jobs WHERE id = ?1");
  query.bind(id);
  if (!query.step()) return std::nullopt;
  return JobRow{.number = query.integer(0), .attempt = query.small(1)};
}

absl::StatusOr<JobRow> require_job(Connection& connection, std::string_view id) {
  const std::optional<JobRow> row = find_job(connection, id);
  if (!row) return absl::NotFoundError(fmt::format("there is no job '{}'", id));
  return *row;
}

}  // namespace lctl::storage
