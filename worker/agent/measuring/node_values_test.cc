#include "worker/agent/measuring/node_values.h"

#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lctl::agent {
namespace {

using testing::Contains;
using testing::DoubleEq;
using testing::IsSupersetOf;
using testing::Key;
using testing::Not;
using testing::Pair;
using testing::StartsWith;

NodeReading reading_at(double seconds) {
  NodeReading reading{.seconds = seconds};
  reading.host = {.cpu_busy = static_cast<std::uint64_t>(30 * seconds),
                  .cpu_total = static_cast<std::uint64_t>(200 * seconds),
                  .memory_total = 8'000'000'000,
                  .memory_available = 6'000'000'000,
                  .network_received = static_cast<std::uint64_t>(1'000'000 * seconds),
                  .disk_total = 100'000'000,
                  .disk_available = 75'000'000};
  return reading;
}

TEST(NodeValuesTest, RatesAreSinceTheLastReadingAndTrafficSinceTheFirst) {
  const auto values = node_values(reading_at(0), reading_at(90), reading_at(100));
  EXPECT_THAT(
      values,
      IsSupersetOf(
          {Pair("cpu_utilization_percentage", 15.0), Pair("system_memory_usage_megabytes", 2'000.0),
           Pair("system_memory_usage_percentage", 25.0), Pair("disk_usage_megabytes", 25.0),
           Pair("disk_available_megabytes", 75.0), Pair("disk_usage_percentage", 25.0),
           Pair("network_receive_megabytes", 100.0), Pair("network_transmit_megabytes", 0.0)}));
}

TEST(NodeValuesTest, CountersThatWereSetBackHaveNotGrown) {
  EXPECT_THAT(node_values(reading_at(100), reading_at(100), reading_at(50)),
              Contains(Pair("network_receive_megabytes", 0.0)));
}

TEST(NodeValuesTest, WhatACardDoesNotSayIsLeftOut) {
  NodeReading now = reading_at(10);
  now.gpus[2] = {.utilization_percent = 93, .power_watts = 350};
  const auto values = node_values(reading_at(0), reading_at(0), now);
  EXPECT_THAT(values, Contains(Pair("gpu_2_utilization_percentage", 93.0)));
  EXPECT_THAT(values, Contains(Pair("gpu_2_power_usage_watts", 350.0)));
  EXPECT_THAT(values, Not(Contains(Key("gpu_2_power_usage_percentage"))));
  EXPECT_THAT(values, Not(Contains(Key(StartsWith("gpu_2_memory")))));
  EXPECT_THAT(values, Not(Contains(Key("gpu_2_temperature_celsius"))));
}

TEST(NodeValuesTest, RankHasAHundredPercentForEachBusyCore) {
  const auto second = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
  NodeReading before = reading_at(10);
  before.ranks[1] = {.cpu_ticks = 5 * second, .memory = 1};
  NodeReading now = reading_at(20);
  now.ranks[1] = {.cpu_ticks = 20 * second, .memory = 3'000'000};
  now.ranks[0] = {.cpu_ticks = 20 * second, .memory = 2'000'000};
  const auto values = node_values(before, before, now);
  EXPECT_THAT(values, Contains(Pair("rank_1_cpu_percentage", DoubleEq(150))));
  EXPECT_THAT(values, Contains(Pair("rank_1_memory_megabytes", 3.0)));
  EXPECT_THAT(values, Not(Contains(Key("rank_0_cpu_percentage")))) << "its first reading";
}

}  // namespace
}  // namespace lctl::agent
