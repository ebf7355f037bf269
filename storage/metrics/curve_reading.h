// The points of a series in the order of its curve, without reading more of them than needed.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/status.h"
#include "storage/jobs/lineage.h"
#include "storage/metrics/metric_store.h"
#include "storage/metrics/point_block.h"
#include "storage/sqlite/connection.h"

namespace lctl::storage {

// What is wanted of a series.
struct CurveSelection {
  std::int64_t series = 0;
  std::int64_t first_step = std::numeric_limits<std::int64_t>::min();
  std::int64_t last_step = std::numeric_limits<std::int64_t>::max();  // inclusive
  const Lineage* lineage = nullptr;  // null = superseded points too
};

// A curve, found in the table's small columns; points are read as they are visited. Blocks whose
// steps overlap (attempts that went over the same steps, with superseded points; steps that went
// back) are read together, into memory. Errors: DataLoss for damaged blocks; SQLite::Exception.
// Thread rule: caller locks the connection, which outlives it.
class Curve {
 public:
  static absl::StatusOr<Curve> find(Connection& connection, const CurveSelection& selection);

  std::int64_t points() const { return points_; }

  // Offers each whole block to `take`; where that declines, and for all else, calls `visit` for
  // each point. In order.
  absl::Status visit(Connection& connection, absl::FunctionRef<bool(const WholeBlock&)> take,
                     absl::FunctionRef<void(const MetricPoint&)> visit) const;

 private:
  struct Block {
    AttemptNumber attempt = 0;
    std::uint64_t first_offset = 0;
    std::int64_t first_step = 0;
    std::int64_t last_step = 0;
    std::int64_t points = 0;
    BlockSummary summary;
    bool whole = true;  // false: `selected` are the points that count
    std::vector<BlockPoint> selected;
  };

  absl::Status select_points(Connection& connection, const CurveSelection& selection,
                             Block& block) const;
  absl::StatusOr<std::vector<BlockPoint>> points_of(Connection& connection,
                                                    const Block& block) const;
  std::size_t end_of_group(std::size_t first) const;
  absl::Status visit_group(Connection& connection, std::size_t first, std::size_t end,
                           absl::FunctionRef<void(const MetricPoint&)> visit) const;

  std::int64_t series_ = 0;
  std::int64_t points_ = 0;
  std::vector<Block> blocks_;  // by first step, attempt, offset
};

}  // namespace lctl::storage
