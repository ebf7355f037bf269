// Callbacks by the names that a job file gives them.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "jobspec/config.h"
#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/trainer/options.h"

namespace lctl {

// Throws MisconfigurationException in Lightning's words.
std::shared_ptr<Callback> make_callback(const jobspec::ClassSpec& spec, bool rank_zero);

// The user's callbacks, and those that the options ask for: progress bar, summary, checkpoints.
std::vector<std::shared_ptr<Callback>> make_callbacks(const std::vector<jobspec::ClassSpec>& specs,
                                                      const TrainerOptions& options,
                                                      bool rank_zero);

// All names that make_callback() knows.
std::vector<std::string_view> callback_names();

}  // namespace lctl
