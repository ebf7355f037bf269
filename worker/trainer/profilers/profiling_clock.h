// The clock of profilers: base/clock.h counts microseconds, and a hook may take less than one.
#pragma once

#include <c10/util/ApproximateClock.h>

#include <cstdint>
#include <functional>

namespace lctl {

// Monotonic nanoseconds since some fixed moment. Tests bring their own.
using ProfilingClock = std::function<std::int64_t()>;

inline std::int64_t profiling_now() { return c10::getTime(/*allow_monotonic=*/true); }

}  // namespace lctl
