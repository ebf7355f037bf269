// The `trainer` section of a job file as the trainer's options.
#pragma once

#include "jobspec/arguments.h"
#include "worker/trainer/trainer/options.h"

namespace lctl {

// Settled: see settle_options(). Throws in Lightning's words for what the key table cannot know.
TrainerOptions trainer_options(const jobspec::Arguments& arguments);

// "DD:HH:MM:SS", or a map of days, hours, minutes, seconds, as seconds. Throws
// MisconfigurationException that names `argument`.
double seconds_of(const jobspec::Value& value, std::string_view argument);

}  // namespace lctl
