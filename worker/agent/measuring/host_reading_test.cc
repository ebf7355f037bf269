#include "worker/agent/measuring/host_reading.h"

#include <unistd.h>

#include "gtest/gtest.h"

namespace lctl::agent {
namespace {

TEST(HostReadingTest, CpuTimeIsBusyUnlessIdleOrWaiting) {
  HostReading reading;
  parse_stat("cpu  100 20 30 1000 50 3 7 5 11 12\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 5\n", reading);
  EXPECT_EQ(reading.cpu_busy, 100u + 20 + 30 + 3 + 7 + 5);
  EXPECT_EQ(reading.cpu_total, reading.cpu_busy + 1000 + 50);
}

TEST(HostReadingTest, MemoryIsInBytes) {
  HostReading reading;
  parse_meminfo("MemTotal:       24000 kB\nMemFree: 1 kB\nMemAvailable:   18000 kB\n", reading);
  EXPECT_EQ(reading.memory_total, 24'000u * 1024);
  EXPECT_EQ(reading.memory_available, 18'000u * 1024);
}

TEST(HostReadingTest, LoopbackIsNoNetwork) {
  HostReading reading;
  parse_net_dev(
      "Inter-|   Receive                            |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes packets\n"
      "    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n"
      "  eth0:1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0\n"
      "  eth1: 10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n",
      reading);
  EXPECT_EQ(reading.network_received, 1'010u);
  EXPECT_EQ(reading.network_sent, 2'020u);
}

TEST(HostReadingTest, PartitionsAndLayersAboveDisksAreNotCountedAgain) {
  HostReading reading;
  const char* const lines[] = {"259 0 nvme0n1", "259 1 nvme0n1p1", "8 0 sda",
                               "8 1 sda1",      "7 0 loop0",       "253 0 dm-0",
                               "179 0 mmcblk0", "179 1 mmcblk0p1"};
  std::string text;
  for (const char* line : lines) text += std::string("  ") + line + " 1 0 10 1 1 0 100 1 0 1 1\n";
  parse_diskstats(text, reading);
  EXPECT_EQ(reading.disk_read, 3u * 10 * 512);
  EXPECT_EQ(reading.disk_written, 3u * 100 * 512);
}

TEST(HostReadingTest, OddTextIsNothing) {
  HostReading reading;
  for (const char* text : {"", "cpu", "cpu x y\n", "eth0:", ":::", "1 2 sda", "MemTotal:\n"}) {
    parse_stat(text, reading);
    parse_meminfo(text, reading);
    parse_net_dev(text, reading);
    parse_diskstats(text, reading);
  }
  EXPECT_EQ(reading.cpu_total + reading.memory_total + reading.network_received, 0u);
}

TEST(HostReadingTest, ThisMachineHasWhatAMachineHas) {
  const HostReading reading = read_host("/");
  EXPECT_GT(reading.cpu_total, reading.cpu_busy);
  EXPECT_GT(reading.memory_total, reading.memory_available);
  EXPECT_GT(reading.memory_available, 0u);
  EXPECT_GE(reading.disk_total, reading.disk_available);
  EXPECT_GT(read_process(getpid()).memory, 100'000u);
  EXPECT_EQ(read_process(-1).memory, 0u);
}

}  // namespace
}  // namespace lctl::agent
