#include "storage/metrics/downsample.h"

#include <cmath>
#include <utility>

#include "base/check.h"

namespace lctl::storage {
namespace {

// A block of at most this part of a bucket goes to one bucket as a whole.
constexpr std::int64_t kSmallPart = 2;

}  // namespace

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
  open(bucket_of(index));
  add_value(point, index);
}

bool Downsampler::add_whole(const WholeBlock& block) {
  const std::int64_t first = next_index_;
  const std::int64_t last = first + block.points - 1;
  LCTL_CHECK(last < total_, "more points than announced");
  if (buckets_ == 0 || first == 0 || last == total_ - 1) return false;
  const std::int64_t bucket = bucket_of(first + block.points / 2);
  const bool small = block.points * kSmallPart * buckets_ <= total_;
  if (!small && (bucket_of(first) != bucket || bucket_of(last) != bucket)) return false;
  next_index_ += block.points;
  open(bucket);
  const auto add = [&](const std::optional<BlockSummary::Extreme>& extreme) {
    if (!extreme) return;
    add_value({.step = extreme->point.step,
               .epoch = extreme->point.epoch,
               .time_us = extreme->point.time_us,
               .value = extreme->point.value,
               .attempt = block.attempt},
              first + extreme->index);
  };
  add(block.summary.smallest);
  add(block.summary.largest);
  add(block.summary.first_nan);
  return true;
}

void Downsampler::open(std::int64_t bucket) {
  if (bucket == open_bucket_) return;
  flush_bucket();
  open_bucket_ = bucket;
}

void Downsampler::add_value(const MetricPoint& point, std::int64_t index) {
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
