// The cache's size, and what has to go so that something new fits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace lctl {

// In the folder of what is made of a file (DataCache::place_for): the bytes that it takes up, as a
// decimal number. Without it they are counted each time.
inline constexpr char kSizeNote[] = ".size";

// $LCTL_DATA_CACHE_SIZE ("200G", "1.5TiB", "200000000000"); nothing = the cache has no bound.
// Throws FetchError (kCache) for what is no size. `variable` as in cache_root.h. Pure.
std::optional<std::uint64_t> cache_bound(const std::function<std::string(const char*)>& variable);

// What room is wanted for.
struct RoomFor {
  std::string what;             // a URL or path, for messages
  std::uint64_t size = 0;       // bytes of it in all, as far as they are known
  std::uint64_t uncounted = 0;  // of these, bytes that the cache's folders do not say yet
};

// Thread rule: immutable; any thread.
class CacheBound {
 public:
  struct Options {
    std::optional<std::uint64_t> bytes;           // nothing = no bound, and nothing is ever removed
    std::function<bool()> stopped;                // asked while waiting for another process
    std::function<void(const std::string&)> say;  // told what is removed
  };

  CacheBound(std::filesystem::path root, Options options);

  // Removes entries that no live process uses, those used longest ago first, until all that the
  // cache has, unfinished downloads at their full size, is within the bound. Throws FetchError
  // (kDiskFull) when that is not enough; std::system_error.
  void make_room(const RoomFor& wanted) const;

 private:
  const std::filesystem::path root_;
  const Options options_;
};

}  // namespace lctl
