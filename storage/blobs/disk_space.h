// How much of the disk checkpoints may fill.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>

namespace lctl::storage {

// The last `reserve_bytes` of the disk are for the database: chunks are refused before metrics are.
struct DiskSpace {
  std::int64_t reserve_bytes = 0;  // 0 = chunks may fill the disk
  // Bytes free for this user; nullopt when it cannot be told. Empty = ask the file system.
  std::function<std::optional<std::int64_t>()> free_bytes = {};
};

// A twentieth of the disk, and a gibibyte at most.
inline std::int64_t default_reserve(std::int64_t disk_bytes) {
  return std::min<std::int64_t>(disk_bytes / 20, std::int64_t{1} << 30);
}

}  // namespace lctl::storage
