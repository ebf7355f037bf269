// Whether one rank still gets anywhere: by its own pace, from its pulse.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "worker/pulse/page.h"

namespace lctl::agent {

// Any progress in the pulse is a sign of life. How long one may fail to come:
// - among batches of one kind 45 s, or ten times the longest pause that this rank has made there
//   lately when that is more; 10 minutes until it has done a few of them. So steps of up to 4 s are
//   missed within 45 s, and slow ones are never taken for a hang;
// - between epochs, at checkpoints and at the end 10 minutes, at the start 30: as long as a
//   collective may take there, where one rank prepares data and the others wait.
// A job's own `hang_after` replaces the first, and lengthens the others.
//
// Told the time by its owner, so it knows no clock. Thread rule: caller locks.
class StallWatch {
 public:
  // JobSpec.hang_after_ms: 0 = by its pace, -1 = never.
  explicit StallWatch(std::int64_t hang_after_ms) : hang_after_ms_(hang_after_ms) {}

  // What the pulse is now. Regularly, about once a second.
  void look(MonotonicTime now, const pulse::Page& page);

  // Nobody has looked for a while (the machine slept, the daemon was stopped) or somebody holds the
  // rank on purpose: the time until now does not count.
  void start_anew(MonotonicTime now);

  // Since the last sign of life.
  Duration silence(MonotonicTime now) const { return now - changed_; }
  // After which it counts as hung; nullopt = never.
  std::optional<Duration> limit() const;
  bool stalled(MonotonicTime now) const;

  const pulse::Page& page() const { return page_; }

 private:
  // Of batches of one kind.
  struct Pace {
    std::uint64_t batches = 0;
    Duration longest{};         // pause in this spell
    Duration longest_before{};  // and in the one before it
    MonotonicTime since{};      // when this spell began
  };

  void learn(MonotonicTime now, const pulse::Page& page);
  Pace* pace();
  const Pace* pace() const { return const_cast<StallWatch*>(this)->pace(); }

  std::int64_t hang_after_ms_;
  pulse::Page page_;
  MonotonicTime changed_{};
  bool seen_ = false;
  std::array<Pace, 4> paces_;  // training, validating, testing, predicting
};

}  // namespace lctl::agent
