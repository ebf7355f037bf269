#include "storage/metrics/downsample.h"

#include <cmath>
#include <utility>

#include "base/check.h"

namespace lctl::storage {

Downsampler::Downsampler(std::int64_t total, int max_points)
    : total_(total), buckets_(max_points == 0 || total <= max_points ? 0 : (max_points - 2) / 2) {
  LCTL_CHECK(max_points == 0 || max_points >= 4,
             "fewer points cannot show first, last, min and max");
  kept_.reserve(static_cast<std::size_t>(buckets_ == 0 ? total : max_points));
}

// Index 0 and total-1 stand alone; 1 … total-2 are spread evenly over the buckets.
std::int64_t Downsampler::bucket_of(std::int64_t index) const {
  const auto numerator = static_cast<__int128>(index - 1) * buckets_;
  return static_cast<std::int64_t>(numerator / (total_ - 2));
}

void Downsampler::add(const MetricPoint& point) {
  const std::int64_t index = next_index_++;
  LCTL_CHECK(index < total_, "more points than announced");
  if (buckets_ == 0 || index == 0 || index == total_ - 1) {
    flush_bucket();
    kept_.push_back(point);
    return;
  }
  if (const std::int64_t bucket = bucket_of(index); bucket != open_bucket_) {
    flush_bucket();
    open_bucket_ = bucket;
  }
  if (std::isnan(point.value)) {
    if (!has_nan_) nan_ = point;
    has_nan_ = true;
    return;
  }
  if (!has_value_ || point.value < smallest_.value) {
    smallest_ = point;
    smallest_index_ = index;
  }
  if (!has_value_ || point.value > largest_.value) {
    largest_ = point;
    largest_index_ = index;
  }
  has_value_ = true;
}

void Downsampler::flush_bucket() {
  if (has_value_) {
    if (smallest_index_ == largest_index_) {
      kept_.push_back(smallest_);
    } else if (smallest_index_ < largest_index_) {
      kept_.push_back(smallest_);
      kept_.push_back(largest_);
    } else {
      kept_.push_back(largest_);
      kept_.push_back(smallest_);
    }
  } else if (has_nan_) {
    kept_.push_back(nan_);
  }
  has_value_ = has_nan_ = false;
}

std::vector<MetricPoint> Downsampler::finish() {
  LCTL_CHECK(next_index_ == total_, "fewer points than announced");
  flush_bucket();
  return std::move(kept_);
}

}  // namespace lctl::storage
