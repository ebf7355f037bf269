// Finds the number of loader workers by measuring, while training goes on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace lctl {

// The procedure that people follow by hand: start with some workers, add more until the speed of
// training no longer grows, take the fewest that reach it; halve them when memory runs low, and
// never go there again. It measures in windows: how many batches training took, and which share of
// the time it stood waiting for one. As long as it hardly waits, nothing changes. Pure: no clock,
// no threads. Thread rule: one strand only.
class WorkerTuner {
 public:
  struct Limits {
    std::int64_t start = 1;    // workers to begin with
    std::int64_t highest = 1;  // never more
  };

  // What was measured between two calls of observe().
  struct Window {
    double seconds = 0;
    double waited_seconds = 0;  // of these, for batches
    std::int64_t batches = 0;
    std::optional<std::int64_t> memory_available;  // bytes, at its end
    std::int64_t memory_reserve = 0;               // to be kept free
    std::int64_t bytes_per_worker = 0;             // that one more worker would hold at most
  };

  struct Change {
    std::int64_t workers = 0;
    std::string reason;
  };

  explicit WorkerTuner(Limits limits)
      : limits_(limits), highest_(limits.highest), workers_(limits.start) {}

  std::int64_t workers() const { return workers_; }

  // Whether a window of that size says enough: half a second, and some batches of each worker.
  bool enough(double seconds, std::int64_t batches) const {
    return seconds >= kWindowSeconds && batches >= 2 * workers_ + 2;
  }

  // Empty: stay. The first window after a change is passed over: batches in flight are of before.
  std::optional<Change> observe(const Window& window);

  static constexpr double kWindowSeconds = 0.5;

 private:
  std::optional<Change> change_to(std::int64_t workers, std::string reason);
  std::optional<Change> settle(const std::string& reason);
  std::optional<Change> for_memory(const Window& window);

  const Limits limits_;
  std::int64_t highest_;  // as memory allows
  std::int64_t workers_;
  bool low_on_memory_ = false;
  bool settling_ = true;                  // the next window does not count
  bool settled_ = false;                  // the search is over, unless speed falls
  std::map<std::int64_t, double> speed_;  // workers → batches per second, of this search
};

}  // namespace lctl
