// Which steps of a run are recorded: torch.profiler.schedule.
#pragma once

#include <cstdint>

namespace lctl {

enum class ProfilerAction : std::uint8_t {
  kNone,           // nothing
  kWarmup,         // the tracer runs, what it sees is thrown away
  kRecord,         // recorded
  kRecordAndSave,  // recorded, and the trace is written afterwards
};

// After `skip_first` steps, cycles of `wait`, `warmup` and `active` steps, `repeat` times (0 = to
// the end); the last active step of a cycle saves. Thread rule: immutable.
struct ProfilerSchedule {
  std::int64_t wait = 1;
  std::int64_t warmup = 1;
  std::int64_t active = 3;
  std::int64_t repeat = 0;
  std::int64_t skip_first = 0;
  bool skip_first_wait = false;  // the first cycle begins with its warmup
  bool everything = false;       // no cycles: record from the first action to the last

  static ProfilerSchedule all() { return {.everything = true}; }

  // Throws std::invalid_argument in torch's words when a number is out of range.
  void check() const;
  // step >= 0.
  ProfilerAction at(std::int64_t step) const;

  friend bool operator==(const ProfilerSchedule&, const ProfilerSchedule&) = default;
};

}  // namespace lctl
