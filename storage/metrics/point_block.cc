#include "storage/metrics/point_block.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "storage/metrics/point_block.pb.h"

namespace lctl::storage {
namespace {

// Differences wrap around: any two numbers have one, and it leads back.
class Differences {
 public:
  std::int64_t to(std::int64_t value) {
    const auto difference = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) - before_);
    before_ = static_cast<std::uint64_t>(value);
    return difference;
  }

  std::int64_t back_from(std::int64_t difference) {
    before_ += static_cast<std::uint64_t>(difference);
    return static_cast<std::int64_t>(before_);
  }

 private:
  std::uint64_t before_ = 0;
};

void set(record::BlockSummary::Extreme& extreme, std::size_t index, const BlockPoint& point) {
  extreme.set_index(static_cast<std::uint32_t>(index));
  extreme.set_step(point.step);
  extreme.set_epoch(point.epoch);
  extreme.set_time_us(point.time_us);
  extreme.set_value(point.value);
}

std::string summarize(std::span<const BlockPoint> points) {
  const BlockPoint* smallest = nullptr;
  const BlockPoint* largest = nullptr;
  const BlockPoint* first_nan = nullptr;
  for (const BlockPoint& point : points) {
    if (std::isnan(point.value)) {
      if (first_nan == nullptr) first_nan = &point;
      continue;
    }
    if (smallest == nullptr || point.value < smallest->value) smallest = &point;
    if (largest == nullptr || point.value > largest->value) largest = &point;
  }
  record::BlockSummary summary;
  const auto index = [&](const BlockPoint* point) {
    return static_cast<std::size_t>(point - points.data());
  };
  if (smallest != nullptr) set(*summary.mutable_smallest(), index(smallest), *smallest);
  if (largest != nullptr) set(*summary.mutable_largest(), index(largest), *largest);
  if (first_nan != nullptr) set(*summary.mutable_first_nan(), index(first_nan), *first_nan);
  return summary.SerializeAsString();
}

BlockSummary::Extreme extreme_of(const record::BlockSummary::Extreme& extreme) {
  return {.index = extreme.index(),
          .point = {.step = extreme.step(),
                    .epoch = extreme.epoch(),
                    .time_us = extreme.time_us(),
                    .value = extreme.value()}};
}

absl::Status damaged(std::string_view what) {
  return absl::DataLossError(std::string("stored metric points are damaged (")
                                 .append(what)
                                 .append("); restore the store from a backup"));
}

}  // namespace

PackedBlock pack(std::vector<BlockPoint>& points) {
  LCTL_CHECK(!points.empty(), "a block has points");
  // They nearly always are, and looking is cheap.
  if (!std::is_sorted(points.begin(), points.end(), comes_before))
    std::sort(points.begin(), points.end(), comes_before);
  record::PointBlock block;
  const auto count = static_cast<int>(points.size());
  block.mutable_steps()->Reserve(count);
  block.mutable_epochs()->Reserve(count);
  block.mutable_times_us()->Reserve(count);
  block.mutable_offsets()->Reserve(count);
  block.mutable_ordinals()->Reserve(count);
  block.mutable_values()->Reserve(count);
  Differences step, epoch, time, offset;
  PackedBlock packed{.points = count,
                     .first_step = points.front().step,
                     .last_step = points.back().step,
                     .first_offset = points.front().offset,
                     .last_offset = points.front().offset,
                     .summary = summarize(points),
                     .data = {}};
  for (const BlockPoint& point : points) {
    packed.first_offset = std::min(packed.first_offset, point.offset);
    packed.last_offset = std::max(packed.last_offset, point.offset);
    block.mutable_steps()->AddAlreadyReserved(step.to(point.step));
    block.mutable_epochs()->AddAlreadyReserved(epoch.to(point.epoch));
    block.mutable_times_us()->AddAlreadyReserved(time.to(point.time_us));
    block.mutable_offsets()->AddAlreadyReserved(offset.to(static_cast<std::int64_t>(point.offset)));
    block.mutable_ordinals()->AddAlreadyReserved(point.ordinal);
    block.mutable_values()->AddAlreadyReserved(point.value);
  }
  packed.data = block.SerializeAsString();
  return packed;
}

std::vector<PackedBlock> pack_all(std::span<const BlockPoint> points) {
  std::vector<PackedBlock> blocks;
  std::vector<BlockPoint> part;
  for (const BlockPoint& point : points) {
    const bool full = static_cast<std::int64_t>(part.size()) >= kMaxBlockPoints;
    if (full && point.offset != part.back().offset) {
      blocks.push_back(pack(part));
      part.clear();
    }
    part.push_back(point);
  }
  if (!part.empty()) blocks.push_back(pack(part));
  return blocks;
}

absl::StatusOr<std::vector<BlockPoint>> unpack(std::string_view data, std::int64_t points) {
  record::PointBlock block;
  if (!block.ParseFromArray(data.data(), static_cast<int>(data.size())))
    return damaged("they cannot be read");
  const auto right = [&](int size) { return size == points; };
  if (!right(block.steps_size()) || !right(block.epochs_size()) || !right(block.times_us_size()) ||
      !right(block.offsets_size()) || !right(block.ordinals_size()) ||
      !right(block.values_size())) {
    return damaged("some are missing");
  }
  std::vector<BlockPoint> unpacked(static_cast<std::size_t>(points));
  Differences step, epoch, time, offset;
  for (int i = 0; i < block.steps_size(); ++i) {
    unpacked[static_cast<std::size_t>(i)] = {
        .step = step.back_from(block.steps(i)),
        .epoch = epoch.back_from(block.epochs(i)),
        .time_us = time.back_from(block.times_us(i)),
        .value = block.values(i),
        .offset = static_cast<std::uint64_t>(offset.back_from(block.offsets(i))),
        .ordinal = block.ordinals(i)};
  }
  if (!std::is_sorted(unpacked.begin(), unpacked.end(), comes_before))
    return damaged("they are out of order");
  return unpacked;
}

absl::StatusOr<BlockSummary> unpack_summary(std::string_view bytes) {
  record::BlockSummary summary;
  if (!summary.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return damaged("their summary cannot be read");
  BlockSummary unpacked;
  if (summary.has_smallest()) unpacked.smallest = extreme_of(summary.smallest());
  if (summary.has_largest()) unpacked.largest = extreme_of(summary.largest());
  if (summary.has_first_nan()) unpacked.first_nan = extreme_of(summary.first_nan());
  return unpacked;
}

}  // namespace lctl::storage
