// Points of one series and attempt, packed: 16 bytes a point instead of 40, and a row of the
// database for up to 2,048 of them.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/id.h"
#include "base/status.h"

namespace lctl::storage {

inline constexpr std::int64_t kMaxBlockPoints = 2'048;

// (offset, ordinal) is the value's place in what rank 0 wrote.
struct BlockPoint {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  std::int64_t time_us = 0;
  double value = 0;
  std::uint64_t offset = 0;
  std::uint32_t ordinal = 0;
};

// The order of a curve within an attempt: equal steps as they were written.
inline bool comes_before(const BlockPoint& a, const BlockPoint& b) {
  return std::tie(a.step, a.offset, a.ordinal) < std::tie(b.step, b.offset, b.ordinal);
}

// Of a block's points: the first of the smallest and of the largest values (infinities count), and
// the first NaN; each absent when there is none. `offset` and `ordinal` are not kept.
struct BlockSummary {
  struct Extreme {
    std::int64_t index = 0;  // in the block
    BlockPoint point;
  };
  std::optional<Extreme> smallest;
  std::optional<Extreme> largest;
  std::optional<Extreme> first_nan;
};

// A block of consecutive points of the curve that need not be looked at one by one.
struct WholeBlock {
  std::int64_t points = 0;
  AttemptNumber attempt = 0;
  BlockSummary summary;
  bool last = false;  // nothing comes behind it
};

// A row of point_blocks, but for its series and attempt.
struct PackedBlock {
  std::int64_t points = 0;
  std::int64_t first_step = 0;
  std::int64_t last_step = 0;
  std::uint64_t first_offset = 0;
  std::uint64_t last_offset = 0;
  std::string summary;
  std::string data;
};

// Sorts the points (not empty) and packs them.
PackedBlock pack(std::vector<BlockPoint>& points);

// Cuts points, in the order of their offsets, into blocks of at most kMaxBlockPoints, but never
// within an event, so that each block has a first offset of its own.
std::vector<PackedBlock> pack_all(std::span<const BlockPoint> points);

// DataLoss for what pack() cannot have made.
absl::StatusOr<std::vector<BlockPoint>> unpack(std::string_view data, std::int64_t points);
absl::StatusOr<BlockSummary> unpack_summary(std::string_view summary);

}  // namespace lctl::storage
