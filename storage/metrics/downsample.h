// Thins out a series for drawing, so that nothing one would see is lost.
#pragma once

#include <cstdint>
#include <vector>

#include "storage/metrics/metric_store.h"
#include "storage/metrics/point_block.h"

namespace lctl::storage {

// Takes the points of a series one by one and keeps at most `max_points` of them: the first, the
// last, and of each of the equal buckets between them the smallest and the largest value, in their
// order. A bucket of nothing but NaN keeps one NaN, so that a gap stays a gap. Memory:
// O(max_points).
//
// The caller must know how many points there are. Thread rule: caller locks.
class Downsampler {
 public:
  // max_points >= 4, or 0 = keep all.
  Downsampler(std::int64_t total, int max_points);

  // All points in order, `total` in the end. Many points may be added as a block, unread, when they
  // lie in one bucket or are so few beside it that the bucket's borders may move for them: false
  // otherwise; add its points then.
  void add(const MetricPoint& point);
  bool add_whole(const WholeBlock& block);

  std::vector<MetricPoint> finish();

 private:
  std::int64_t bucket_of(std::int64_t index) const;
  void open(std::int64_t bucket);
  void add_value(const MetricPoint& point, std::int64_t index);
  void flush_bucket();

  const std::int64_t total_;
  const std::int64_t buckets_;  // 0 = keep all
  std::int64_t next_index_ = 0;
  std::int64_t open_bucket_ = -1;

  // Of the open bucket; indices order the two.
  bool has_value_ = false;
  bool has_nan_ = false;
  MetricPoint smallest_, largest_, nan_;
  std::int64_t smallest_index_ = 0, largest_index_ = 0;

  std::vector<MetricPoint> kept_;
};

}  // namespace lctl::storage
