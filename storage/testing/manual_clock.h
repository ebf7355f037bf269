// A clock that stands still until a test moves it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace lctl::storage {

// Thread rule: internally locked.
class ManualClock final : public Clock {
 public:
  WallTime wall_now() const override { return WallTime(Duration(micros_.load())); }
  MonotonicTime monotonic_now() const override { return MonotonicTime(Duration(micros_.load())); }

  void advance(Duration by) { micros_ += by.count(); }

 private:
  std::atomic<std::int64_t> micros_{1'800'000'000'000'000};
};

}  // namespace lctl::storage
