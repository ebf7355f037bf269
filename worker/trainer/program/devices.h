// Which devices a run uses, and the accelerator that drives them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "worker/trainer/accelerators/accelerator.h"
#include "worker/trainer/trainer/options.h"

namespace lctl {

// `accelerator` of the options ("auto": cuda where a GPU and the plugin are) or `assigned`
// (LCTL_DEVICE) decide. Opens the CUDA plugin, so it must run before any tensor is touched. Throws
// MisconfigurationException with one line that says what is missing.
std::unique_ptr<Accelerator> open_accelerator(const TrainerOptions& options,
                                              const std::string& assigned);

// The ids of `devices` for that accelerator; one per local rank.
std::vector<int> choose_devices(const TrainerOptions& options, const Accelerator& accelerator);

// Lightning's lines about which devices there are, and which are used.
void log_device_info(const Accelerator& accelerator);

}  // namespace lctl
