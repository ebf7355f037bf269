#include "worker/trainer/data/loading/memory_headroom.h"

#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace lctl {
namespace {

class MemoryHeadroomTest : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  const std::filesystem::path root_ =
      std::filesystem::path(::testing::TempDir()) /
      ::testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(MemoryHeadroomTest, IsTheMachinesWithoutAControlGroup) {
  write("proc/meminfo", "MemTotal:  1000 kB\nMemFree: 10 kB\nMemAvailable:  400 kB\n");
  const auto headroom = memory_headroom(root_);
  ASSERT_TRUE(headroom.has_value());
  EXPECT_EQ(headroom->available, 400 * 1024);
  EXPECT_EQ(headroom->limit, 1000 * 1024);
}

TEST_F(MemoryHeadroomTest, IsThatOfTheNearestLimitOfAnyGroupAbove) {
  write("proc/meminfo", "MemTotal: 1000000 kB\nMemAvailable: 900000 kB\n");
  write("proc/self/cgroup", "0::/lctl/rank-0\n");
  write("sys/fs/cgroup/lctl/memory.max", "8000\n");
  write("sys/fs/cgroup/lctl/memory.current", "6000\n");
  write("sys/fs/cgroup/lctl/memory.stat", "anon 5000\ninactive_file 700\n");
  write("sys/fs/cgroup/lctl/rank-0/memory.max", "max\n");
  write("sys/fs/cgroup/lctl/rank-0/memory.current", "6000\n");
  const auto headroom = memory_headroom(root_);
  ASSERT_TRUE(headroom.has_value());
  EXPECT_EQ(headroom->available, 2700);
  EXPECT_EQ(headroom->limit, 8000);
}

TEST_F(MemoryHeadroomTest, KnowsTheFirstVersionOfControlGroups) {
  write("proc/meminfo", "MemTotal: 1000000 kB\nMemAvailable: 900000 kB\n");
  write("proc/self/cgroup", "9:name=systemd:/\n4:memory:/job/rank\n3:cpu,cpuacct:/\n0::/\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("sys/fs/cgroup/memory/memory.usage_in_bytes", "100000\n");
  write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "8000\n");
  write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "7000\n");
  write("sys/fs/cgroup/memory/job/memory.stat", "total_inactive_file 400\n");
  const auto headroom = memory_headroom(root_);
  ASSERT_TRUE(headroom.has_value());
  EXPECT_EQ(headroom->available, 1400);
  EXPECT_EQ(headroom->limit, 8000);
}

TEST_F(MemoryHeadroomTest, IsUnknownWhereTheSystemTellsNothing) {
  EXPECT_FALSE(memory_headroom(root_ / "nothing").has_value());
}

TEST(MemoryHeadroomOfThisMachineTest, IsKnown) {
  const auto headroom = memory_headroom();
  ASSERT_TRUE(headroom.has_value());
  EXPECT_GT(headroom->available, 0);
  EXPECT_LE(headroom->available, headroom->limit);
}

}  // namespace
}  // namespace lctl
