// How a loader is doing: what the tuner decides by and what people are shown.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"

namespace lctl {

// A change of the number of workers that the tuner made.
struct TuningDecision {
  WallTime time;
  std::int64_t before = 0;
  std::int64_t after = 0;
  std::string reason;  // one line
};

// Of one loader, over all of its passes. Thread rule: caller locks (a value).
struct LoadingStats {
  std::int64_t workers = 0;      // threads now
  bool tuned = false;            // num_workers: auto
  std::int64_t batches = 0;      // handed out
  double waited_seconds = 0;     // training stood still for so long, since there was no batch
  double total_seconds = 0;      // from the first batch of each pass to the newest
  std::int64_t bytes_ahead = 0;  // of batches that are made, or being made, and not handed out yet
  std::int64_t skipped_samples = 0;
  std::vector<TuningDecision> decisions;  // the newest few
};

}  // namespace lctl
