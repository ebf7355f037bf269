// Simulated time: what is to happen, in order. Time stands still while something happens, and jumps
// to whatever comes next.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "base/clock.h"

namespace lctl::simulation {

// Thread rule: caller locks; the clock may be asked from any thread while nothing happens.
class EventQueue final : public Clock {
 public:
  WallTime wall_now() const override {
    return WallTime(Duration(1'800'000'000'000'000)) + elapsed_ + wall_offset_;
  }
  MonotonicTime monotonic_now() const override { return MonotonicTime(kBoot + elapsed_); }

  // Since the schedule began.
  Duration elapsed() const { return elapsed_; }

  // Somebody sets the machine's clock.
  void jump_wall_clock(Duration by) { wall_offset_ += by; }

  // Of two for the same moment the one that was added first goes first.
  void at(MonotonicTime time, std::function<void()> what) {
    const Duration when = std::max(elapsed_, time.time_since_epoch() - kBoot);
    events_.emplace(std::pair(when, ++added_), std::move(what));
  }
  void after(Duration delay, std::function<void()> what) {
    at(monotonic_now() + delay, std::move(what));
  }

  // The next event; false when there is none up to `end`, where time then stands.
  bool run_next(Duration end) {
    if (events_.empty() || events_.begin()->first.first > end) {
      elapsed_ = end;
      return false;
    }
    auto next = events_.extract(events_.begin());
    elapsed_ = next.key().first;
    next.mapped()();
    return true;
  }

 private:
  // Not 0: a moment before the first event must exist.
  static constexpr Duration kBoot = std::chrono::hours(1);

  std::map<std::pair<Duration, std::uint64_t>, std::function<void()>> events_;
  std::uint64_t added_ = 0;
  Duration elapsed_{};
  Duration wall_offset_{};
};

}  // namespace lctl::simulation
