// The seed once more, where a distributed run begins.
#pragma once

namespace lctl {

class Accelerator;

// Lightning's reset_seed(): the generators as an earlier seed_everything (of this process or its
// parent) left them; nothing without one. So all ranks draw the same numbers from here on, and what
// the building of the model has drawn is drawn again. Main thread only.
void reset_seed(Accelerator& accelerator);

}  // namespace lctl
