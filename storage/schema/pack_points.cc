#include "storage/schema/pack_points.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "storage/metrics/point_block.h"

namespace lctl::storage {
namespace {

using SeriesAttempt = std::pair<std::int64_t, std::int64_t>;

void insert(SQLite::Database& database, const SeriesAttempt& of,
            const std::vector<BlockPoint>& points) {
  SQLite::Statement row(database, "INSERT INTO point_blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (const PackedBlock& block : pack_all(points)) {
    row.bind(1, of.first);
    row.bind(2, of.second);
    row.bind(3, static_cast<std::int64_t>(block.first_offset));
    row.bind(4, static_cast<std::int64_t>(block.last_offset));
    row.bind(5, block.first_step);
    row.bind(6, block.last_step);
    row.bind(7, block.points);
    row.bind(8, block.summary.data(), static_cast<int>(block.summary.size()));
    row.bind(9, block.data.data(), static_cast<int>(block.data.size()));
    row.exec();
    row.reset();
  }
}

}  // namespace

void pack_points(SQLite::Database& database) {
  SQLite::Statement rows(
      database,
      "SELECT series, attempt, spool_offset, ordinal, step, epoch, time_us, value FROM points"
      " ORDER BY series, attempt, spool_offset, ordinal");
  SeriesAttempt current;
  std::vector<BlockPoint> points;
  while (rows.executeStep()) {
    const SeriesAttempt of = {rows.getColumn(0).getInt64(), rows.getColumn(1).getInt64()};
    const auto offset = static_cast<std::uint64_t>(rows.getColumn(2).getInt64());
    // A large series goes in pieces, cut between events.
    const bool full = points.size() >= 64 * static_cast<std::size_t>(kMaxBlockPoints) &&
                      points.back().offset != offset;
    if (of != current || full) {
      insert(database, current, points);
      points.clear();
      current = of;
    }
    const SQLite::Column value = rows.getColumn(7);
    points.push_back(
        {.step = rows.getColumn(4).getInt64(),
         .epoch = rows.getColumn(5).getInt64(),
         .time_us = rows.getColumn(6).getInt64(),
         .value = value.isNull() ? std::numeric_limits<double>::quiet_NaN() : value.getDouble(),
         .offset = offset,
         .ordinal = static_cast<std::uint32_t>(rows.getColumn(3).getInt())});
  }
  insert(database, current, points);
}

}  // namespace lctl::storage
