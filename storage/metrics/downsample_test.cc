#include "storage/metrics/downsample.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
// After gtest, which it needs.
#include <rapidcheck/gtest.h>

namespace lctl::storage {
namespace {

using testing::ElementsAre;

std::vector<double> downsampled(const std::vector<double>& values, int max_points) {
  Downsampler downsampler(static_cast<std::int64_t>(values.size()), max_points);
  std::int64_t step = 0;
  for (const double value : values) downsampler.add({.step = step++, .value = value});
  std::vector<double> kept;
  for (const MetricPoint& point : downsampler.finish()) kept.push_back(point.value);
  return kept;
}

WholeBlock block_of(const std::vector<double>& values, std::int64_t first, std::int64_t count) {
  std::vector<BlockPoint> points;
  for (std::int64_t i = first; i < first + count; ++i)
    points.push_back({.step = i, .value = values[static_cast<std::size_t>(i)]});
  return {.points = count, .summary = *unpack_summary(pack(points).summary)};
}

TEST(DownsamplerTest, BlocksThatAreSmallBesideABucketNeedNotBeRead) {
  constexpr std::int64_t kTotal = 100'000;
  constexpr std::int64_t kBlock = 100;
  std::vector<double> values;
  for (std::int64_t i = 0; i < kTotal; ++i) values.push_back(std::sin(static_cast<double>(i)));
  values[12'345] = 7;
  values[54'321] = -7;
  Downsampler downsampler(kTotal, 100);
  std::int64_t read = 0;
  for (std::int64_t first = 0; first < kTotal; first += kBlock) {
    if (downsampler.add_whole(block_of(values, first, kBlock))) continue;
    read += kBlock;
    for (std::int64_t i = first; i < first + kBlock; ++i)
      downsampler.add({.step = i, .value = values[static_cast<std::size_t>(i)]});
  }
  EXPECT_EQ(read, 2 * kBlock);  // the first and the last block
  const std::vector<MetricPoint> kept = downsampler.finish();
  EXPECT_LE(kept.size(), 100U);
  EXPECT_GE(kept.size(), 98U);
  EXPECT_EQ(kept.front().step, 0);
  EXPECT_EQ(kept.back().step, kTotal - 1);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    EXPECT_EQ(kept[i].value, values[static_cast<std::size_t>(kept[i].step)]);
    if (i > 0) {
      EXPECT_LT(kept[i - 1].step, kept[i].step);
    }
  }
  const auto holds = [&](std::int64_t step) {
    return std::any_of(kept.begin(), kept.end(), [&](const auto& p) { return p.step == step; });
  };
  EXPECT_TRUE(holds(12'345));
  EXPECT_TRUE(holds(54'321));
}

TEST(DownsamplerTest, ShortSeriesAndTheLimitZeroKeepAll) {
  EXPECT_THAT(downsampled({3, 1, 2}, 4), ElementsAre(3, 1, 2));
  EXPECT_THAT(downsampled({3, 1, 2, 5, 4}, 0), ElementsAre(3, 1, 2, 5, 4));
  EXPECT_THAT(downsampled({}, 4), ElementsAre());
}

TEST(DownsamplerTest, SpikesSurviveInTheirOrder) {
  std::vector<double> values(1000, 1.0);
  values[300] = -7;
  values[299] = 9;
  values[700] = 5;
  EXPECT_THAT(downsampled(values, 6), ElementsAre(1, 9, -7, 1, 5, 1));
}

TEST(DownsamplerTest, BucketOfNothingButNanKeepsItsGap) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> values(100, nan);
  values.front() = 1;
  values.back() = 2;
  const std::vector<double> kept = downsampled(values, 4);
  ASSERT_EQ(kept.size(), 3u);
  EXPECT_TRUE(std::isnan(kept[1]));
}

RC_GTEST_PROP(DownsamplerProperty, KeepsFirstLastAndExtremesWithinTheLimit, ()) {
  const auto numbers = *rc::gen::nonEmpty<std::vector<int>>();
  const int limit = *rc::gen::inRange(4, 40);
  const std::vector<double> values(numbers.begin(), numbers.end());

  Downsampler downsampler(static_cast<std::int64_t>(values.size()), limit);
  for (std::size_t i = 0; i < values.size(); ++i) {
    downsampler.add({.step = static_cast<std::int64_t>(i), .value = values[i]});
  }
  const std::vector<MetricPoint> kept = downsampler.finish();

  RC_ASSERT(kept.size() <= static_cast<std::size_t>(limit));
  RC_ASSERT(kept.front().step == 0);
  RC_ASSERT(kept.back().step == static_cast<std::int64_t>(values.size()) - 1);
  double smallest = kept.front().value, largest = kept.front().value;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (i > 0) RC_ASSERT(kept[i - 1].step < kept[i].step);
    RC_ASSERT(kept[i].value == values[static_cast<std::size_t>(kept[i].step)]);
    smallest = std::min(smallest, kept[i].value);
    largest = std::max(largest, kept[i].value);
  }
  RC_ASSERT(smallest == *std::min_element(values.begin(), values.end()));
  RC_ASSERT(largest == *std::max_element(values.begin(), values.end()));
}

}  // namespace
}  // namespace lctl::storage
