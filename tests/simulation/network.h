// What a network does to messages. Pure: times in, times out.
//
// The real transport is gRPC over TCP: within a stream nothing is lost, doubled or out of order. So
// the fates below stand for what programs do see of a bad network:
//   delayed     packets that were sent again; a busy peer. Streams delay independently, so a batch
//               overtakes a report, and the leftovers of an old stream meet those of a new one.
//   lost        the stream is dead from there on, in that direction, and its ends learn it later
//   doubled     an order or a call that was repeated since its answer was lost
//   held        a partition shorter than the time until somebody gives up: all arrives behind it
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/clock.h"
#include "tests/simulation/random.h"

namespace lctl::simulation {

// Of the way between one node and the server.
struct Weather {
  int lost = 0;     // of 1,000 messages
  int doubled = 0;  // of 1,000 messages
  Duration slowest = std::chrono::milliseconds(5);
  MonotonicTime held_until{};  // a partition's end
};

// One direction of one stream. Thread rule: caller locks.
class Link {
 public:
  // When the copies of a message that is sent now arrive, never before those of an earlier one.
  // None: it is lost, and so is all that follows.
  std::vector<MonotonicTime> arrivals(MonotonicTime now, const Weather& weather, Random& random) {
    if (cut_ || static_cast<int>(random.below(1000)) < weather.lost) {
      cut_ = true;
      return {};
    }
    const bool doubled = static_cast<int>(random.below(1000)) < weather.doubled;
    std::vector<MonotonicTime> times(doubled ? 2 : 1);
    for (MonotonicTime& time : times) {
      const Duration delay = random.between(Duration(100), weather.slowest);
      last_ = std::max(last_, std::max(now, weather.held_until) + delay);
      time = last_;
    }
    return times;
  }

  bool is_cut() const { return cut_; }
  // Nothing more arrives.
  void cut() { cut_ = true; }

 private:
  MonotonicTime last_{};
  bool cut_ = false;
};

}  // namespace lctl::simulation
