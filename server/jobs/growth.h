// When running elastic gangs take on more nodes.
#pragma once

#include <chrono>
#include <optional>

#include "base/clock.h"

namespace lctl::jobs {

struct Growth {
  // No attempt ends for it before it has had so much time: else a node that comes and goes would
  // have it do nothing but start.
  Duration minimum_run = std::chrono::minutes(1);
};

// How far an attempt is with it. Live only.
struct GrowthState {
  std::optional<MonotonicTime> possible_since;  // more nodes have been there all the time
  bool checkpoint_since = false;                // one was committed meanwhile
  bool under_way = false;                       // it was asked to end
};

}  // namespace lctl::jobs
