// From which hooks self.log may be called, and with which levels (section "hook levels" of
// docs/trainer.md).
#pragma once

#include "worker/trainer/core/hook.h"
#include "worker/trainer/core/log_options.h"

namespace lctl {

struct LogLevels {
  bool on_step = false;
  bool on_epoch = false;
};

// Resolves unset levels to the hook's defaults. Throws MisconfigurationException, in Lightning's
// words, when the hook forbids logging or the wanted level, or when both levels are off.
LogLevels resolve_log_levels(Hook hook, const LogOptions& options);

}  // namespace lctl
