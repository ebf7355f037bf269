// The clock of the benchmark programs.
#pragma once

#include <chrono>

#include "base/clock.h"

namespace lctl::bench {

// Seconds of the monotonic clock, for differences.
inline double now() {
  return std::chrono::duration<double>(system_clock().monotonic_now().time_since_epoch()).count();
}

}  // namespace lctl::bench
