#include "storage/metrics/curve_reading.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace lctl::storage {
namespace {

MetricPoint metric_point(const BlockPoint& point, AttemptNumber attempt) {
  return {.step = point.step,
          .epoch = point.epoch,
          .time_us = point.time_us,
          .value = point.value,
          .attempt = attempt};
}

}  // namespace

absl::StatusOr<Curve> Curve::find(Connection& connection, const CurveSelection& selection) {
  Curve curve;
  curve.series_ = selection.series;
  std::vector<Block> cut;
  {
    Query query = connection.query(
        "SELECT attempt, first_offset, last_offset, first_step, last_step, points, summary"
        " FROM point_blocks WHERE series = ?1 AND last_step >= ?2 AND first_step <= ?3");
    query.bind(selection.series, selection.first_step, selection.last_step);
    while (query.step()) {
      Block block{.attempt = query.small(0),
                  .first_offset = query.offset(1),
                  .first_step = query.integer(3),
                  .last_step = query.integer(4),
                  .points = query.integer(5),
                  .summary = {},
                  .selected = {}};
      if (selection.lineage != nullptr &&
          !selection.lineage->holds_event(block.attempt, block.first_offset))
        continue;
      block.whole = block.first_step >= selection.first_step &&
                    block.last_step <= selection.last_step &&
                    (selection.lineage == nullptr ||
                     selection.lineage->holds_event(block.attempt, query.offset(2)));
      LCTL_ASSIGN_OR_RETURN(block.summary, unpack_summary(query.blob(6)));
      curve.blocks_.push_back(std::move(block));
    }
  }
  for (Block& block : curve.blocks_) {
    if (!block.whole) LCTL_RETURN_IF_ERROR(curve.select_points(connection, selection, block));
    curve.points_ += block.points;
  }
  std::erase_if(curve.blocks_, [](const Block& block) { return block.points == 0; });
  std::sort(curve.blocks_.begin(), curve.blocks_.end(), [](const Block& a, const Block& b) {
    return std::tie(a.first_step, a.attempt, a.first_offset) <
           std::tie(b.first_step, b.attempt, b.first_offset);
  });
  return curve;
}

// Reads a block of which only a part is selected.
absl::Status Curve::select_points(Connection& connection, const CurveSelection& selection,
                                  Block& block) const {
  LCTL_ASSIGN_OR_RETURN(block.selected, points_of(connection, block));
  std::erase_if(block.selected, [&](const BlockPoint& point) {
    return point.step < selection.first_step || point.step > selection.last_step ||
           (selection.lineage != nullptr &&
            !selection.lineage->holds_event(block.attempt, point.offset));
  });
  block.points = static_cast<std::int64_t>(block.selected.size());
  if (block.selected.empty()) return absl::OkStatus();
  block.first_step = block.selected.front().step;
  block.last_step = block.selected.back().step;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<BlockPoint>> Curve::points_of(Connection& connection,
                                                         const Block& block) const {
  if (!block.selected.empty()) return block.selected;
  Query query = connection.query(
      "SELECT points, data FROM point_blocks"
      " WHERE series = ?1 AND attempt = ?2 AND first_offset = ?3");
  query.bind(series_, block.attempt, block.first_offset);
  if (!query.step()) return absl::InternalError("a block of points went during a snapshot");
  return unpack(query.blob(1), query.integer(0));
}

// Behind the last block whose points may lie between those of blocks from `first` on. Equal steps
// keep the order of attempts and offsets, so blocks of one attempt may share a step at their
// border.
std::size_t Curve::end_of_group(std::size_t first) const {
  std::int64_t last_step = blocks_[first].last_step;
  std::pair<AttemptNumber, std::uint64_t> newest = {blocks_[first].attempt,
                                                    blocks_[first].first_offset};
  std::size_t end = first + 1;
  for (; end < blocks_.size(); ++end) {
    const Block& next = blocks_[end];
    const std::pair<AttemptNumber, std::uint64_t> place = {next.attempt, next.first_offset};
    if (next.first_step > last_step || (next.first_step == last_step && place > newest)) break;
    last_step = std::max(last_step, next.last_step);
    newest = std::max(newest, place);
  }
  return end;
}

absl::Status Curve::visit_group(Connection& connection, std::size_t first, std::size_t end,
                                absl::FunctionRef<void(const MetricPoint&)> visit) const {
  if (end == first + 1) {
    LCTL_ASSIGN_OR_RETURN(const auto points, points_of(connection, blocks_[first]));
    for (const BlockPoint& point : points) visit(metric_point(point, blocks_[first].attempt));
    return absl::OkStatus();
  }
  std::vector<std::pair<AttemptNumber, BlockPoint>> points;
  for (std::size_t i = first; i < end; ++i) {
    LCTL_ASSIGN_OR_RETURN(const auto more, points_of(connection, blocks_[i]));
    for (const BlockPoint& point : more) points.emplace_back(blocks_[i].attempt, point);
  }
  std::sort(points.begin(), points.end(), [](const auto& a, const auto& b) {
    return std::tie(a.second.step, a.first, a.second.offset, a.second.ordinal) <
           std::tie(b.second.step, b.first, b.second.offset, b.second.ordinal);
  });
  for (const auto& [attempt, point] : points) visit(metric_point(point, attempt));
  return absl::OkStatus();
}

absl::Status Curve::visit(Connection& connection, absl::FunctionRef<bool(const WholeBlock&)> take,
                          absl::FunctionRef<void(const MetricPoint&)> visit) const {
  for (std::size_t first = 0; first < blocks_.size();) {
    const std::size_t end = end_of_group(first);
    const Block& block = blocks_[first];
    const bool taken = end == first + 1 && block.whole &&
                       take({.points = block.points,
                             .attempt = block.attempt,
                             .summary = block.summary,
                             .last = end == blocks_.size()});
    if (!taken) LCTL_RETURN_IF_ERROR(visit_group(connection, first, end, visit));
    first = end;
  }
  return absl::OkStatus();
}

}  // namespace lctl::storage
