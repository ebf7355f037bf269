#include "storage/metrics/series_rows.h"

namespace lctl::storage {

std::optional<std::int64_t> find_series(Connection& connection, std::int64_t job,
                                        std::string_view key) {
  Query query = connection.query("SELECT id FROM series WHERE job = ?1 AND key = ?2");
  query.bind(job, key);
  if (!query.step()) return std::nullopt;
  return query.integer(0);
}

std::int64_t series_of(Connection& connection, std::int64_t job, std::string_view key) {
  if (const auto known = find_series(connection, job, key)) return *known;
  Query made = connection.query("INSERT INTO series (job, key) VALUES (?1, ?2) RETURNING id");
  made.bind(job, key);
  made.step();
  const std::int64_t series = made.integer(0);
  made.run();
  return series;
}

std::uint64_t read_committed(Connection& connection, std::int64_t job, const StreamKey& stream) {
  Query query = connection.query(
      "SELECT committed FROM streams WHERE job = ?1 AND attempt = ?2 AND rank = ?3 AND kind = ?4");
  query.bind(job, stream.attempt.number, stream.rank, stream.kind);
  return query.step() ? query.offset(0) : 0;
}

void write_committed(Connection& connection, std::int64_t job, const StreamKey& stream,
                     std::uint64_t committed) {
  connection
      .query(
          "INSERT INTO streams (job, attempt, rank, kind, committed) VALUES (?1, ?2, ?3, ?4, ?5)"
          " ON CONFLICT (job, attempt, rank, kind) DO UPDATE SET committed = excluded.committed")
      .bind(job, stream.attempt.number, stream.rank, stream.kind, committed)
      .run();
}

}  // namespace lctl::storage
