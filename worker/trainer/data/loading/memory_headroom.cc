#include "worker/trainer/data/loading/memory_headroom.h"

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace lctl {
namespace {

// The number behind `key` in a file of "key value" lines.
std::optional<std::int64_t> value_in(const std::filesystem::path& file, std::string_view key) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string name;
    std::int64_t value = 0;
    if (words >> name >> value && name == key) return value;
  }
  return std::nullopt;
}

// A file that holds one number; "max" is none.
std::optional<std::int64_t> number_in(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::int64_t value = 0;
  if (in >> value) return value;
  return std::nullopt;
}

// Where the kernel keeps this process's memory accounts, in one of its two layouts.
struct Accounts {
  std::filesystem::path top;    // the root group
  std::filesystem::path group;  // below it
  std::string_view limit, used, cache;
};

// Lines are NUMBER:CONTROLLERS:/GROUP; the unified hierarchy (v2) has no controllers there.
Accounts accounts(const std::filesystem::path& root) {
  const std::filesystem::path top = root / "sys/fs/cgroup";
  Accounts unified{top, "", "memory.max", "memory.current", "inactive_file"};
  std::ifstream in(root / "proc/self/cgroup");
  std::string line;
  while (std::getline(in, line)) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(":/", first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string group = line.substr(second + 2);
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controllers == "memory") {
      return {top / "memory", group, "memory.limit_in_bytes", "memory.usage_in_bytes",
              "total_inactive_file"};
    }
    if (controllers.empty()) unified.group = group;
  }
  return unified;
}

void take_nearer(std::optional<MemoryHeadroom>& nearest, const MemoryHeadroom& other) {
  if (!nearest.has_value() || other.available < nearest->available) nearest = other;
}

}  // namespace

std::optional<MemoryHeadroom> memory_headroom(const std::filesystem::path& root) {
  std::optional<MemoryHeadroom> nearest;
  const auto available = value_in(root / "proc/meminfo", "MemAvailable:");
  const auto total = value_in(root / "proc/meminfo", "MemTotal:");
  if (available && total) nearest = MemoryHeadroom{*available * 1024, *total * 1024};
  const Accounts all = accounts(root);
  for (std::filesystem::path group = all.group;; group = group.parent_path()) {
    const auto limit = number_in(all.top / group / all.limit);
    const auto used = number_in(all.top / group / all.used);
    if (limit && used) {
      const std::int64_t cache = value_in(all.top / group / "memory.stat", all.cache).value_or(0);
      take_nearer(nearest, {*limit - *used + cache, *limit});
    }
    if (group.empty()) break;
  }
  return nearest;
}

}  // namespace lctl
