// Time since this machine was started, with the time that it was suspended: for deadlines that
// other machines count on. Beside clock.cc, boot_time.cc is the only file that reads a clock.
#pragma once

#include <chrono>

namespace lctl {

// CLOCK_BOOTTIME. Thread rule: any thread.
std::chrono::nanoseconds time_since_boot();

}  // namespace lctl
