// What the kernel says of this machine: CPU, memory, network, disks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace lctl::agent {

// Counters grow since boot; sizes are in bytes. 0 where the kernel says nothing.
struct HostReading {
  std::uint64_t cpu_busy = 0;   // clock ticks of all cores, waiting for disks not among them
  std::uint64_t cpu_total = 0;  // clock ticks
  std::uint64_t memory_total = 0;
  std::uint64_t memory_available = 0;
  std::uint64_t network_received = 0;  // all interfaces but loopback
  std::uint64_t network_sent = 0;
  std::uint64_t disk_read = 0;  // whole disks
  std::uint64_t disk_written = 0;
  std::uint64_t disk_total = 0;  // of the file system of the data folder
  std::uint64_t disk_available = 0;
};

// Reads /proc; costs about 0.2 ms.
HostReading read_host(const std::filesystem::path& data_dir);

// Two parts of it alone.
void read_memory(HostReading& reading);
void read_disk(const std::filesystem::path& data_dir, HostReading& reading);

// Parts of it, from the text of the file. Source: proc(5), Documentation/admin-guide/iostats.rst.
void parse_stat(std::string_view text, HostReading& reading);       // /proc/stat
void parse_meminfo(std::string_view text, HostReading& reading);    // /proc/meminfo
void parse_net_dev(std::string_view text, HostReading& reading);    // /proc/net/dev
void parse_diskstats(std::string_view text, HostReading& reading);  // /proc/diskstats

// Of one process; zeros when it is gone.
struct ProcessReading {
  std::uint64_t cpu_ticks = 0;  // user and system, of all its threads
  std::uint64_t memory = 0;     // resident, bytes
};
ProcessReading read_process(int pid);

}  // namespace lctl::agent
