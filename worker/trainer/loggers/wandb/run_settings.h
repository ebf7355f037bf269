// What is not said about a run, and where it comes from.
#pragma once

#include <functional>

#include "worker/trainer/loggers/wandb/run.h"

namespace lctl::wandb {

// nullptr for a variable that is not set: std::getenv, or a test's.
using EnvironmentLookup = std::function<const char*(const char* name)>;

// Fills what is empty in `given` from WANDB_RUN_ID, WANDB_PROJECT, WANDB_DIR, WANDB_NAME,
// WANDB_ENTITY, WANDB_RUN_GROUP, WANDB_JOB_TYPE, WANDB_NOTES and WANDB_TAGS (separated by commas),
// then the id from LCTL_JOB_ID or a new random one, the project and the root from Lightning's and
// W&B's defaults. Throws what check_settings() throws.
RunSettings settled(RunSettings given, const EnvironmentLookup& environment);

// WANDB_MODE=disabled. Throws std::invalid_argument for a mode that W&B does not know.
bool is_disabled(const EnvironmentLookup& environment);

}  // namespace lctl::wandb
