#include "worker/trainer/callbacks/throughput.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace lctl {
namespace {

using testing::ElementsAre;
using testing::Pair;

using Value = ThroughputValue;

TEST(ThroughputTest, RatesComeWhenTheWindowIsFull) {
  Throughput throughput({.window_size = 3});
  throughput.update({.time = 1, .batches = 1, .samples = 8});
  throughput.update({.time = 2, .batches = 2, .samples = 16});
  EXPECT_THAT(throughput.compute(),
              ElementsAre(Pair("time", Value(2.0)), Pair("batches", Value(std::int64_t{2})),
                          Pair("samples", Value(std::int64_t{16}))));
  throughput.update({.time = 5, .batches = 3, .samples = 24});
  throughput.update({.time = 6, .batches = 4, .samples = 32});
  EXPECT_THAT(throughput.compute(),
              ElementsAre(Pair("time", Value(6.0)), Pair("batches", Value(std::int64_t{4})),
                          Pair("samples", Value(std::int64_t{32})),
                          Pair("device/batches_per_sec", Value(0.5)),
                          Pair("device/samples_per_sec", Value(4.0))));
}

TEST(ThroughputTest, ItemsFlopsAndAllDevices) {
  Throughput throughput(
      {.window_size = 2, .separator = ".", .world_size = 2, .available_flops = 100.0});
  throughput.update({.time = 1, .batches = 1, .samples = 2, .lengths = 10, .flops = 40.0});
  throughput.update({.time = 2, .batches = 2, .samples = 4, .lengths = 30, .flops = 50.0});
  EXPECT_THAT(
      throughput.compute(),
      ElementsAre(Pair("time", Value(2.0)), Pair("batches", Value(std::int64_t{2})),
                  Pair("samples", Value(std::int64_t{4})), Pair("lengths", Value(std::int64_t{30})),
                  Pair("device.batches_per_sec", Value(1.0)), Pair("batches_per_sec", Value(2.0)),
                  Pair("device.samples_per_sec", Value(2.0)), Pair("samples_per_sec", Value(4.0)),
                  Pair("device.items_per_sec", Value(20.0)), Pair("items_per_sec", Value(40.0)),
                  Pair("device.flops_per_sec", Value(50.0)), Pair("flops_per_sec", Value(100.0)),
                  Pair("device.mfu", Value(0.5))));
}

TEST(ThroughputTest, TotalsMustGrow) {
  Throughput throughput({.window_size = 2});
  throughput.update({.time = 1, .batches = 1, .samples = 2});
  EXPECT_THROW(throughput.update({.time = 1, .batches = 2, .samples = 4}), std::invalid_argument);
  EXPECT_THROW(throughput.update({.time = 2, .batches = 1, .samples = 4}), std::invalid_argument);
  EXPECT_THROW(throughput.update({.time = 2, .batches = 3, .samples = 2}), std::invalid_argument);
  EXPECT_THROW(Throughput({.window_size = 1}), std::invalid_argument);
}

TEST(PeakFlopsTest, DevicesAreKnownByTheirDriversNames) {
  EXPECT_EQ(peak_flops("NVIDIA H100 80GB HBM3", "bf16-mixed"), 989.4e12);
  EXPECT_EQ(peak_flops("NVIDIA H100 PCIe", "32-true"), 51.2e12);
  EXPECT_EQ(peak_flops("NVIDIA A100-SXM4-80GB", "64-true"), 9.7e12);
  EXPECT_EQ(peak_flops("Tesla V100-SXM2-16GB", "16-mixed"), 125e12);
  EXPECT_EQ(peak_flops("Tesla T4", "bf16-mixed"), std::nullopt) << "it has no bfloat16";
  EXPECT_EQ(peak_flops("Tesla K80", "32-true"), std::nullopt);
}

}  // namespace
}  // namespace lctl
