#include "base/boot_time.h"

#include <time.h>

namespace lctl {

std::chrono::nanoseconds time_since_boot() {
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace lctl
