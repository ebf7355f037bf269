#include "storage/metrics/block_writing.h"

#include <algorithm>
#include <vector>

namespace lctl::storage {
namespace {

// A block at the end is packed anew when it is at most so many times as large as what comes: as in
// a binary counter, each point moves a few times only.
constexpr std::int64_t kGrowth = 3;

void remove(Connection& connection, std::int64_t series, AttemptNumber attempt,
            std::uint64_t first_offset) {
  connection
      .query("DELETE FROM point_blocks WHERE series = ?1 AND attempt = ?2 AND first_offset = ?3")
      .bind(series, attempt, first_offset)
      .run();
}

// Takes the last block out of the table and puts its points in front of `points`, if it is small
// enough. False when not.
absl::StatusOr<bool> take_last(Connection& connection, std::int64_t series, AttemptNumber attempt,
                               std::vector<BlockPoint>& points) {
  std::uint64_t first_offset = 0;
  {
    Query query = connection.query(
        "SELECT first_offset, points, data FROM point_blocks WHERE series = ?1 AND attempt = ?2"
        " ORDER BY first_offset DESC LIMIT 1");
    query.bind(series, attempt);
    if (!query.step()) return false;
    const auto count = static_cast<std::int64_t>(points.size());
    const std::int64_t last = query.integer(1);
    if (last > kGrowth * count || last + count > kMaxBlockPoints) return false;
    first_offset = query.offset(0);
    LCTL_ASSIGN_OR_RETURN(std::vector<BlockPoint> before, unpack(query.blob(2), last));
    before.insert(before.end(), points.begin(), points.end());
    points = std::move(before);
  }
  remove(connection, series, attempt, first_offset);
  return true;
}

}  // namespace

absl::Status append_points(Connection& connection, std::int64_t series, AttemptNumber attempt,
                           std::vector<BlockPoint> points) {
  for (bool grown = !points.empty(); grown;) {
    LCTL_ASSIGN_OR_RETURN(grown, take_last(connection, series, attempt, points));
  }
  // Blocks keep the order of steps; they are cut in the order of offsets.
  const auto written_before = [](const BlockPoint& a, const BlockPoint& b) {
    return std::tie(a.offset, a.ordinal) < std::tie(b.offset, b.ordinal);
  };
  if (!std::is_sorted(points.begin(), points.end(), written_before))
    std::sort(points.begin(), points.end(), written_before);
  for (const PackedBlock& block : pack_all(points)) {
    connection
        .query(
            "INSERT INTO point_blocks (series, attempt, first_offset, last_offset, first_step,"
            " last_step, points, summary, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")
        .bind(series, attempt, block.first_offset, block.last_offset, block.first_step,
              block.last_step, block.points, Blob{block.summary}, Blob{block.data})
        .run();
  }
  return absl::OkStatus();
}

}  // namespace lctl::storage
