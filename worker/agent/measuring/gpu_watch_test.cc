// The watch with a stand-in for NVML.
#include "worker/agent/measuring/gpu_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <future>

namespace lctl::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

constexpr auto kLong = std::chrono::seconds(30);

class GpuWatchTest : public testing::Test {
 protected:
  GpuWatchTest() : xids_(testing::TempDir() + "/xids") {
    std::ofstream{xids_};
    setenv("FAKE_NVML_GPUS", "2", 1);
    setenv("FAKE_NVML_XIDS", xids_.c_str(), 1);
  }
  ~GpuWatchTest() override {
    for (const char* name : {"FAKE_NVML_GPUS", "FAKE_NVML_XIDS", "FAKE_NVML_LOST"}) unsetenv(name);
  }
  GpuWatch::Options options() {
    return {.gpu_library = std::string(std::getenv("TEST_SRCDIR")) + "/" +
                           std::getenv("TEST_WORKSPACE") + "/worker/agent/testing/libfake_nvml.so",
            .every = std::chrono::milliseconds(5),
            .changed = [this](const GpuFaults& faults) { told_.set_value(faults); }};
  }

  const std::string xids_;
  std::promise<GpuFaults> told_;  // a second telling would throw
};

TEST_F(GpuWatchTest, TellsAnXidErrorOnce) {
  auto told = told_.get_future();
  const GpuWatch watch(options());
  std::ofstream(xids_) << "0 31\n1 79\n" << std::flush;
  ASSERT_EQ(told.wait_for(kLong), std::future_status::ready);
  EXPECT_THAT(told.get(), ElementsAre(Pair(1, "Xid 79: fell off the bus")));
}

TEST_F(GpuWatchTest, TellsACardThatIsLost) {
  setenv("FAKE_NVML_LOST", "0", 1);
  auto told = told_.get_future();
  const GpuWatch watch(options());
  ASSERT_EQ(told.wait_for(kLong), std::future_status::ready);
  EXPECT_THAT(told.get(), ElementsAre(Pair(0, "the driver has lost it")));
}

TEST_F(GpuWatchTest, MachineWithoutGpusIsNotWatched) {
  setenv("FAKE_NVML_GPUS", "0", 1);
  std::ofstream(xids_) << "0 79\n" << std::flush;
  auto told = told_.get_future();
  {
    const GpuWatch watch(options());
  }
  EXPECT_EQ(told.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
}

}  // namespace
}  // namespace lctl::agent
