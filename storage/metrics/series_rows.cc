#include "storage/metrics/series_rows.h"

namespace lctl::storage {

std::optional<Series> find_series(Connection& connection, std::int64_t job, std::string_view key) {
  Query query = connection.query("SELECT id, source FROM series WHERE job = ?1 AND key = ?2");
  query.bind(job, key);
  if (!query.step()) return std::nullopt;
  return Series{.id = query.integer(0), .source = static_cast<SeriesSource>(query.small(1))};
}

std::vector<std::pair<Series, std::string>> all_series(Connection& connection, std::int64_t job) {
  std::vector<std::pair<Series, std::string>> all;
  Query query = connection.query("SELECT id, source, key FROM series WHERE job = ?1 ORDER BY key");
  query.bind(job);
  while (query.step()) {
    all.emplace_back(
        Series{.id = query.integer(0), .source = static_cast<SeriesSource>(query.small(1))},
        query.text(2));
  }
  return all;
}

std::optional<std::int64_t> series_for(Connection& connection, std::int64_t job,
                                       std::string_view key, SeriesSource source) {
  if (const std::optional<Series> known = find_series(connection, job, key); known.has_value()) {
    if (known->source == source) return known->id;
    if (source == SeriesSource::kNode) return std::nullopt;
    connection.query("DELETE FROM point_blocks WHERE series = ?1").bind(known->id).run();
    connection.query("UPDATE series SET source = ?2 WHERE id = ?1").bind(known->id, source).run();
    return known->id;
  }
  Query made =
      connection.query("INSERT INTO series (job, key, source) VALUES (?1, ?2, ?3) RETURNING id");
  made.bind(job, key, source);
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
