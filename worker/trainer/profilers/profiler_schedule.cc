#include "worker/trainer/profilers/profiler_schedule.h"

#include <fmt/format.h>

#include <stdexcept>

namespace lctl {

void ProfilerSchedule::check() const {
  if (wait >= 0 && warmup >= 0 && active > 0 && repeat >= 0 && skip_first >= 0) return;
  throw std::invalid_argument(fmt::format(
      "Invalid profiler schedule arguments. Got wait={} (need >= 0), warmup={} (need >= 0), "
      "active={} (need > 0), repeat={} (need >= 0), skip_first={} (need >= 0).",
      wait, warmup, active, repeat, skip_first));
}

ProfilerAction ProfilerSchedule::at(std::int64_t step) const {
  if (everything) return ProfilerAction::kRecord;
  if (step < skip_first) return ProfilerAction::kNone;
  step -= skip_first;
  if (skip_first_wait) step += wait;
  const std::int64_t cycle = wait + warmup + active;
  if (repeat > 0 && step >= repeat * cycle) return ProfilerAction::kNone;
  const std::int64_t place = step % cycle;
  if (place < wait) return ProfilerAction::kNone;
  if (place < wait + warmup) return ProfilerAction::kWarmup;
  return place < cycle - 1 ? ProfilerAction::kRecord : ProfilerAction::kRecordAndSave;
}

}  // namespace lctl
