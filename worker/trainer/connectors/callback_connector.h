// The callbacks that a trainer has beside the user's: Lightning's callback connector.
#pragma once

#include <memory>
#include <vector>

#include "worker/trainer/callbacks/callback.h"
#include "worker/trainer/trainer/options.h"

namespace lctl {

// The given callbacks, and those that the options ask for and nobody brought: Timer, progress bar,
// model summary, ModelCheckpoint. `options` are settled. Throws MisconfigurationException in
// Lightning's words where callbacks contradict the options or each other.
std::vector<std::shared_ptr<Callback>> complete_callbacks(
    std::vector<std::shared_ptr<Callback>> callbacks, const TrainerOptions& options);

}  // namespace lctl
