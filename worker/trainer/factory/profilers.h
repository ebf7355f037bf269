// Profilers by the names that a job file gives them.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "jobspec/config.h"
#include "worker/trainer/profilers/profiler.h"

namespace lctl {

// Throws MisconfigurationException or std::invalid_argument for what the key table cannot know.
std::shared_ptr<Profiler> make_profiler(const jobspec::ClassSpec& spec);

// All names that make_profiler() knows.
std::vector<std::string_view> profiler_names();

}  // namespace lctl
