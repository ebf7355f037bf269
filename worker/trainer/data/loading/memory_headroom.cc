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

std::string own_cgroup(const std::filesystem::path& root) {
  std::ifstream in(root / "proc/self/cgroup");
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with("0::/")) return line.substr(4);  // without the first slash
  }
  return "";
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
  const std::filesystem::path top = root / "sys/fs/cgroup";
  for (std::filesystem::path group = own_cgroup(root);; group = group.parent_path()) {
    const auto limit = number_in(top / group / "memory.max");
    const auto used = number_in(top / group / "memory.current");
    if (limit && used) {
      const std::int64_t cache = value_in(top / group / "memory.stat", "inactive_file").value_or(0);
      take_nearer(nearest, {*limit - *used + cache, *limit});
    }
    if (group.empty()) break;
  }
  return nearest;
}

}  // namespace lctl
