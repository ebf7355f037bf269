#include "worker/agent/measuring/node_meter.h"

#include <unistd.h>

#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/lctl/v1/event.pb.h"
#include "worker/agent/run_folder.h"
#include "worker/spool/spool_reader.h"

namespace lctl::agent {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

class NodeMeterTest : public testing::Test {
 protected:
  NodeMeterTest() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    setenv("FAKE_NVML_GPUS", "2", 1);
  }

  NodeMeter::Options options() const {
    return {.data_dir = folder_,
            .node = "node-1",
            .gpu_library = std::string(std::getenv("TEST_SRCDIR")) + "/" +
                           std::getenv("TEST_WORKSPACE") + "/worker/agent/testing/libfake_nvml.so",
            .every = std::chrono::hours(1)};  // the test calls measure() itself
  }
  static NodeMeter::RankProcess own_process(std::optional<unsigned> gpu = {}) {
    return {.rank = 3, .pid = getpid(), .start = process_start_time(getpid()), .gpu = gpu};
  }
  std::filesystem::path log() const { return folder_ / "node.log"; }

  std::vector<std::map<std::string, double>> measured() const {
    std::vector<std::map<std::string, double>> all;
    const auto records = spool::SpoolReader::open(log(), 0)->read(1 << 20);
    EXPECT_TRUE(records.ok());
    for (const spool::Record& record : *records) {
      v1::Event event;
      EXPECT_TRUE(event.ParseFromString(record.event));
      EXPECT_GT(event.time_us(), 0);
      auto& values = all.emplace_back();
      for (int i = 0; i < event.metrics().keys_size(); ++i)
        values[event.metrics().keys(i)] = event.metrics().values(i);
    }
    return all;
  }

  const std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) / "node_meter";
  const AttemptId attempt_{JobId("abcdefghij"), 1};
};

TEST_F(NodeMeterTest, EachMeasurementIsARecordOfTheAttemptsLog) {
  NodeMeter meter(options());
  meter.add(attempt_, log(), {own_process(1)});
  meter.measure();
  meter.measure();
  meter.remove(attempt_);
  meter.measure();
  const auto all = measured();
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_THAT(all[0], Contains(Pair("system/node-1/gpu_1_utilization_percentage", 81.0)));
  EXPECT_THAT(all[0], Contains(Pair("system/node-1/gpu_1_memory_usage_percentage", 25.0)));
  EXPECT_THAT(all[0], Contains(Pair("system/node-1/gpu_1_power_usage_percentage", 50.0)));
  EXPECT_EQ(all[0].count("system/node-1/gpu_0_utilization_percentage"), 0u) << "another job's";
  EXPECT_EQ(all[0].count("system/node-1/gpu_1_temperature_celsius"), 0u) << "no sensor";
  EXPECT_GT(all[1].at("system/node-1/rank_3_memory_megabytes"), 0.1);
  EXPECT_EQ(all[1].count("system/node-1/rank_3_cpu_percentage"), 1u);
}

TEST_F(NodeMeterTest, LogIsContinuedAfterARestart) {
  for (int i = 0; i < 2; ++i) {
    NodeMeter meter(options());
    meter.add(attempt_, log(), {own_process()});
    meter.measure();
  }
  EXPECT_THAT(measured(), SizeIs(2));
}

TEST_F(NodeMeterTest, ProcessThatIsAnotherByNowIsNotMeasured) {
  NodeMeter meter(options());
  NodeMeter::RankProcess other = own_process(0);
  other.start += 1;
  meter.add(attempt_, log(), {other});
  meter.measure();
  meter.remove(attempt_);
  EXPECT_EQ(measured().front().count("system/node-1/rank_3_memory_megabytes"), 0u);
  EXPECT_EQ(measured().front().count("system/node-1/gpu_0_utilization_percentage"), 0u);
}

TEST_F(NodeMeterTest, NeverMeansNever) {
  NodeMeter::Options never = options();
  never.every = Duration::zero();
  NodeMeter meter(never);
  meter.add(attempt_, log(), {own_process()});
  meter.measure();
  EXPECT_THAT(measured(), IsEmpty());
}

}  // namespace
}  // namespace lctl::agent
