#include "storage/metrics/series_rows.h"

namespace lctl::storage {

std::optional<Series> find_series(Connection& connection, std::int64_t job, std::string_view key) {
  Query query = connection.query("SELECT id, source FROM series WHERE job = ?1 AND key = ?2");
  query.bind(job, key);
  if (!query.step()) return std::nullopt;
  return Series{.id = query.integer(0), .source = static_cast<SeriesSource>(query.small(1))};
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

}  // namespace lctl::storage
