// How a tuner leaves a run.
#pragma once

namespace lctl {

// Thrown in on_fit_start, caught by the trainer: not an error. Not a std::exception, so that nobody
// takes it for one.
struct TunerExit {};

}  // namespace lctl
