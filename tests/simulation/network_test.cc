#include "tests/simulation/network.h"

#include <gtest/gtest.h>

namespace lctl::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const MonotonicTime kNow{seconds(100)};

TEST(LinkTest, KeepsTheOrderWhateverTheDelay) {
  Random random(1);
  Link link;
  MonotonicTime last;
  for (int i = 0; i < 1000; ++i) {
    const MonotonicTime sent = kNow + milliseconds(i);
    const auto times = link.arrivals(sent, {.doubled = 100, .slowest = seconds(1)}, random);
    ASSERT_FALSE(times.empty());
    for (const MonotonicTime time : times) {
      EXPECT_GT(time, sent);
      EXPECT_GE(time, last);
      last = time;
    }
  }
}

TEST(LinkTest, IsDeadBehindALoss) {
  Random random(1);
  Link link;
  EXPECT_TRUE(link.arrivals(kNow, {.lost = 1000}, random).empty());
  EXPECT_TRUE(link.is_cut());
  EXPECT_TRUE(link.arrivals(kNow, {}, random).empty());
}

TEST(LinkTest, APartitionHoldsMessages) {
  Random random(1);
  Link link;
  const auto times = link.arrivals(kNow, {.held_until = kNow + seconds(5)}, random);
  ASSERT_EQ(times.size(), 1U);
  EXPECT_GT(times[0], kNow + seconds(5));
  EXPECT_FALSE(link.is_cut());
}

TEST(LinkTest, DoublesAsOftenAsTheWeatherSays) {
  Random random(1);
  Link link;
  EXPECT_EQ(link.arrivals(kNow, {.doubled = 1000}, random).size(), 2U);
  EXPECT_EQ(link.arrivals(kNow, {}, random).size(), 1U);
}

}  // namespace
}  // namespace lctl::simulation
