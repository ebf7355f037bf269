// How long a daemon that crashed waits for its next start.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace lctl::cli {

// Doubles from half a second to half a minute while the daemon keeps crashing; begins again when
// it has lived for a minute. Thread rule: caller locks.
class RestartDelay {
 public:
  static constexpr Duration kFirst = std::chrono::milliseconds(500);
  static constexpr Duration kLongest = std::chrono::seconds(30);
  static constexpr Duration kSettled = std::chrono::seconds(60);

  // For a daemon that ended after `lived`.
  Duration after(Duration lived) {
    if (lived >= kSettled) next_ = kFirst;
    const Duration delay = next_;
    next_ = std::min(next_ * 2, kLongest);
    return delay;
  }

 private:
  Duration next_ = kFirst;
};

}  // namespace lctl::cli
