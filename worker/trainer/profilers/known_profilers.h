// Profilers by the short names that Lightning's Trainer knows.
#pragma once

#include <memory>
#include <string_view>

#include "worker/trainer/profilers/profiler.h"

namespace lctl {

// "simple", "advanced", "pytorch", in small or capital letters. Throws MisconfigurationException in
// Lightning's words for any other name.
std::shared_ptr<Profiler> make_profiler(std::string_view name);

}  // namespace lctl
