// Time as a dependency. Every part that needs the time takes a Clock&, so that tests and
// simulations own it. This folder's clock.cc is the only file that reads the system's clocks.
#pragma once

#include <chrono>
#include <cstdint>

namespace lctl {

using Duration = std::chrono::microseconds;

// Wall-clock time since the Unix epoch (UTC). For people and for records; it can jump.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

// Monotonic time since some fixed moment of this boot. For timeouts and intervals.
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;

// Thread rule: internally locked; any thread may ask.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall_now() const = 0;
  virtual MonotonicTime monotonic_now() const = 0;
};

// The machine's own clocks. Lives for ever.
const Clock& system_clock();

// Unix microseconds, the form in which protobuf messages and the store carry wall time.
inline std::int64_t unix_micros(WallTime time) { return time.time_since_epoch().count(); }
inline WallTime from_unix_micros(std::int64_t micros) { return WallTime(Duration(micros)); }

}  // namespace lctl
