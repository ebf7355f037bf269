#include "worker/agent/measuring/host_reading.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <vector>

#include "worker/agent/small_file.h"

namespace lctl::agent {
namespace {

constexpr std::uint64_t kSectorBytes = 512;  // of /proc/diskstats, whatever the disk's own is

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t at = line.find_first_not_of(" \t"); at != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(" \t", at), line.size());
    words.push_back(line.substr(at, end - at));
    at = line.find_first_not_of(" \t", end);
  }
  return words;
}

// 0 where there is no such word, or no number.
std::uint64_t number(const std::vector<std::string_view>& words, std::size_t index) {
  std::uint64_t value = 0;
  if (index < words.size())
    std::from_chars(words[index].data(), words[index].data() + words[index].size(), value);
  return value;
}

template <typename Visit>
void for_each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// Partitions and the layers above disks would count the same bytes again.
bool is_whole_disk(std::string_view name) {
  const auto digits_after = [&](std::string_view prefix, char then) {
    // nvme0n1 is a disk, nvme0n1p2 is none; mmcblk0 likewise.
    return name.starts_with(prefix) && name.find(then, prefix.size()) == std::string_view::npos;
  };
  if (name.starts_with("nvme") || name.starts_with("mmcblk"))
    return digits_after(name.starts_with("nvme") ? "nvme" : "mmcblk", 'p');
  for (const std::string_view prefix : {"sd", "vd", "xvd", "hd"}) {
    if (name.starts_with(prefix)) return name.find_first_of("0123456789") == std::string_view::npos;
  }
  return false;
}

}  // namespace

void parse_stat(std::string_view text, HostReading& reading) {
  const auto words = words_of(text.substr(0, text.find('\n')));
  if (words.empty() || words[0] != "cpu") return;
  // user nice system idle iowait irq softirq steal; guests are counted as user already.
  constexpr std::size_t kIdle = 4;
  constexpr std::size_t kWaiting = 5;
  constexpr std::size_t kLast = 8;
  for (std::size_t i = 1; i <= kLast; ++i) {
    reading.cpu_total += number(words, i);
    if (i != kIdle && i != kWaiting) reading.cpu_busy += number(words, i);
  }
}

void parse_meminfo(std::string_view text, HostReading& reading) {
  for_each_line(text, [&](std::string_view line) {
    const auto words = words_of(line);
    if (words.size() < 2) return;
    if (words[0] == "MemTotal:") reading.memory_total = number(words, 1) * 1024;
    if (words[0] == "MemAvailable:") reading.memory_available = number(words, 1) * 1024;
  });
}

void parse_net_dev(std::string_view text, HostReading& reading) {
  for_each_line(text, [&](std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const auto name = words_of(line.substr(0, colon));
    if (name.size() != 1 || name[0] == "lo") return;
    const auto words = words_of(line.substr(colon + 1));
    reading.network_received += number(words, 0);
    reading.network_sent += number(words, 8);
  });
}

void parse_diskstats(std::string_view text, HostReading& reading) {
  for_each_line(text, [&](std::string_view line) {
    const auto words = words_of(line);
    if (words.size() < 10 || !is_whole_disk(words[2])) return;
    reading.disk_read += number(words, 5) * kSectorBytes;
    reading.disk_written += number(words, 9) * kSectorBytes;
  });
}

void read_memory(HostReading& reading) { parse_meminfo(read_small_file("/proc/meminfo"), reading); }

void read_disk(const std::filesystem::path& data_dir, HostReading& reading) {
  struct statvfs disk = {};
  if (statvfs(data_dir.c_str(), &disk) != 0) return;
  reading.disk_total = disk.f_blocks * disk.f_frsize;
  reading.disk_available = disk.f_bavail * disk.f_frsize;
}

HostReading read_host(const std::filesystem::path& data_dir) {
  HostReading reading;
  parse_stat(read_small_file("/proc/stat"), reading);
  read_memory(reading);
  parse_net_dev(read_small_file("/proc/net/dev"), reading);
  parse_diskstats(read_small_file("/proc/diskstats"), reading);
  read_disk(data_dir, reading);
  return reading;
}

ProcessReading read_process(int pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  const std::string stat = read_small_file(folder + "/stat");
  const std::size_t end_of_name = stat.rfind(')');
  if (end_of_name == std::string::npos) return {};
  // Fields 14 and 15; the first word behind the name is field 3.
  const auto words = words_of(std::string_view(stat).substr(end_of_name + 1));
  const std::string statm = read_small_file(folder + "/statm");
  return {.cpu_ticks = number(words, 11) + number(words, 12),
          .memory = number(words_of(statm), 1) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE))};
}

}  // namespace lctl::agent
