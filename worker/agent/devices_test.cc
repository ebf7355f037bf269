#include "worker/agent/devices.h"

#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/agent/measuring/host_reading.h"

namespace lctl::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DevicesTest : public ::testing::Test {
 protected:
  ~DevicesTest() override {
    for (const char* name : {"FAKE_NVML_GPUS", "FAKE_NVML_BROKEN", "FAKE_NVML_NO_DRIVER"})
      unsetenv(name);
  }
  std::vector<Gpu> list() {
    reason_.clear();
    return list_gpus(std::string(std::getenv("TEST_SRCDIR")) + "/" + std::getenv("TEST_WORKSPACE") +
                         "/worker/agent/testing/libfake_nvml.so",
                     &reason_);
  }
  std::string reason_;
};

TEST_F(DevicesTest, GpusAreListedInTheDriversOrder) {
  setenv("FAKE_NVML_GPUS", "2", 1);
  const std::vector<Gpu> gpus = list();
  ASSERT_THAT(gpus, SizeIs(2));
  EXPECT_EQ(gpus[1].name, "Fake GPU 1");
  EXPECT_EQ(gpus[1].uuid, "GPU-1");
  EXPECT_EQ(gpus[1].memory_bytes, std::int64_t{2} << 30);
  EXPECT_EQ(reason_, "");
}

TEST_F(DevicesTest, MachineWithoutGpuSaysSo) {
  EXPECT_THAT(list(), IsEmpty());
  EXPECT_THAT(reason_, HasSubstr("no GPU"));
}

TEST_F(DevicesTest, LibraryWithoutDriverSaysSo) {
  setenv("FAKE_NVML_GPUS", "2", 1);
  setenv("FAKE_NVML_NO_DRIVER", "1", 1);
  EXPECT_THAT(list(), IsEmpty());
  EXPECT_THAT(reason_, HasSubstr("does not answer"));
}

TEST_F(DevicesTest, IndexesStayRightBesideABrokenGpu) {
  setenv("FAKE_NVML_GPUS", "3", 1);
  setenv("FAKE_NVML_BROKEN", "1", 1);
  EXPECT_THAT(list(), SizeIs(1));
  EXPECT_THAT(reason_, HasSubstr("GPU 1 does not answer"));
}

TEST_F(DevicesTest, AbsentOrForeignLibraryMeansNoGpu) {
  std::string reason;
  EXPECT_THAT(list_gpus("/nowhere/libnvidia-ml.so.1", &reason), IsEmpty());
  EXPECT_THAT(reason, HasSubstr("is not there"));
  EXPECT_THAT(list_gpus("libm.so.6", &reason), IsEmpty());
  EXPECT_THAT(reason, HasSubstr("lacks functions of NVML"));
}

TEST_F(DevicesTest, SlotsAndGpusAreCountedApart) {
  const std::vector<v1::Device> devices =
      make_devices(2, {{"H100", "GPU-a", 80}, {"H100", "GPU-b", 80}});
  ASSERT_THAT(devices, SizeIs(4));
  EXPECT_EQ(devices[1].kind(), "cpu");
  EXPECT_EQ(devices[1].index(), 1);
  EXPECT_EQ(devices[3].kind(), "cuda");
  EXPECT_EQ(devices[3].index(), 1);
  EXPECT_EQ(devices[3].uuid(), "GPU-b");
  EXPECT_EQ(devices[3].memory_bytes(), 80);
}

TEST_F(DevicesTest, ThisMachineHasCoresAndMemory) {
  EXPECT_GE(usable_cpus(), 1);
  HostReading host;
  read_memory(host);
  EXPECT_GT(physical_memory(), static_cast<std::int64_t>(host.memory_available));
  EXPECT_GT(host.memory_available, 0);
}

}  // namespace
}  // namespace lctl::agent
