// Whether gangs have to make room for jobs of higher priority.
#pragma once

#include <chrono>

#include "base/clock.h"

namespace lctl::jobs {

struct Preemption {
  bool by_priority = false;
  // No gang is asked before it has had so much time: else it would do nothing but start.
  Duration minimum_run = std::chrono::minutes(10);
};

}  // namespace lctl::jobs
