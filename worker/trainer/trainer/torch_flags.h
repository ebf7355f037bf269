// LibTorch's own switches, as a Trainer's arguments set them.
#pragma once

#include "worker/trainer/trainer/options.h"

namespace lctl {

// deterministic and benchmark: process-wide, and left alone where an argument was not given. Before
// the first use of a GPU.
void set_torch_flags(const TrainerOptions& options);

}  // namespace lctl
