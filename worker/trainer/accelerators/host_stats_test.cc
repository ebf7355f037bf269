#include "worker/trainer/accelerators/host_stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

namespace lctl {
namespace {

TEST(HostStatsTest, NamesAndRangesAreThoseOfTheCpuAccelerator) {
  HostStats host;
  const DeviceStats first = host.read();
  ASSERT_EQ(first.size(), 3u);
  EXPECT_EQ(first[0].first, "cpu_vm_percent");
  EXPECT_EQ(first[1].first, "cpu_percent");
  EXPECT_EQ(first[2].first, "cpu_swap_percent");
  EXPECT_GT(first[0].second, 0) << "some memory is always in use";
  EXPECT_EQ(first[1].second, 0) << "there is no earlier call to measure from";
  for (const auto& [name, percent] : first) {
    EXPECT_GE(percent, 0) << name;
    EXPECT_LE(percent, 100) << name;
  }
}

TEST(HostStatsTest, WorkBetweenTwoCallsIsSeen) {
  HostStats host;
  host.read();
  std::atomic<std::uint64_t> sum = 0;
  double busy = 0;
  // Ticks are 10 ms; a loaded machine may give this thread few of them, so go on until one is seen.
  for (int round = 0; round < 1000 && busy == 0; ++round) {
    for (int i = 0; i < 20'000'000; ++i) sum.fetch_add(1, std::memory_order_relaxed);
    busy = host.read()[1].second;
  }
  EXPECT_GT(busy, 0);
  EXPECT_LE(busy, 100);
}

}  // namespace
}  // namespace lctl
