// What a drill did to a job, gathered while it happens. Pure: events and times go in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "proto/lctl/v1/checkpoint.pb.h"
#include "proto/lctl/v1/control.pb.h"
#include "proto/lctl/v1/tracking.pb.h"

namespace lctl::cli {

// Times are since the fault was injected, by this machine's clock.
struct DrillTimes {
  std::optional<Duration> noticed;         // the server says that something is wrong
  std::optional<Duration> training_again;  // first progress of the attempt that goes on
  std::optional<Duration> caught_up;       // it is behind the step that had been reached
};

// Over when training has gone on past the step that it had reached, or the job has ended. A fault
// that no attempt ends of (a short hang or partition) is over when its time is, and training goes
// on. Thread rule: caller locks.
class DrillWatch {
 public:
  explicit DrillWatch(const v1::DrillResponse& begun);

  // The job as it is now. False: the drill is over.
  bool changed(const v1::Job& job, Duration since);

  const DrillTimes& times() const { return times_; }
  // Of the attempt that was drilled.
  std::int64_t reached_step() const { return reached_; }

 private:
  const v1::Job before_;
  const Duration lasts_;
  DrillTimes times_;
  std::int64_t reached_ = 0;
  int attempt_ = 0;                     // of the newest event
  std::int64_t stale_progress_us_ = 0;  // of an attempt before that one
  std::optional<std::int64_t> step_when_healed_;
};

// What the store has to say when it is over.
struct DrillLosses {
  std::int64_t points = 0;       // once stored, and on no curve now
  std::int64_t checkpoints = 0;  // damaged, or gone without a newer one
};

// Of one metric: steps that were ever stored and are not on the curve.
std::int64_t lost_points(const std::vector<v1::MetricPoint>& ever,
                         const std::vector<v1::MetricPoint>& curve);
std::int64_t lost_checkpoints(const std::vector<v1::Checkpoint>& before,
                              const std::vector<v1::Checkpoint>& after);

}  // namespace lctl::cli
