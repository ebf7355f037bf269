// How to fetch, and whom to tell.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "worker/trainer/data/fetch/http_transfer.h"

namespace lctl {

// The functions are called by the thread that fetches.
struct FetchOptions {
  // Asked several times a second; true ends the fetch with kCancelled. Empty = never.
  std::function<bool()> stopped;

  // Bytes so far, and of the whole if the server said; at most ten times a second. Empty = silent.
  std::function<void(std::uint64_t done, std::optional<std::uint64_t> total)> progress;

  // Lines for the user: what is downloaded, for whom this process waits, what is tried again.
  // Empty = on stderr, whichever rank this is (core/console.h).
  std::function<void(const std::string&)> say;

  // The cache's folder; empty = as cache_root.h says.
  std::filesystem::path cache;

  // Bytes that the cache may hold (cache_bound.h); nothing = as LCTL_DATA_CACHE_SIZE says.
  std::optional<std::uint64_t> cache_bound;

  HttpLimits limits;

  // Tries in a row that bring nothing new; between them waits of 1, 2, 4, … 30 s (a little less, so
  // that nodes do not come all at once), or as long as the server asks, up to five minutes.
  int attempts = 6;
  std::chrono::milliseconds first_wait{1000};
};

}  // namespace lctl
