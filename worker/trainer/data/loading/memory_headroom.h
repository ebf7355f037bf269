// How much memory may still be used here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace lctl {

// Bytes.
struct MemoryHeadroom {
  std::int64_t available = 0;  // until the machine, or this process's control group, is full
  std::int64_t limit = 0;      // of whichever of the two is nearer to its end
};

// From /proc/meminfo, and memory.max and memory.current of this process's cgroup (v2) and those
// above it; page cache that can be dropped counts as available. Empty where the system does not
// tell. `root` is "/" but for tests. Any thread.
std::optional<MemoryHeadroom> memory_headroom(const std::filesystem::path& root = "/");

}  // namespace lctl
