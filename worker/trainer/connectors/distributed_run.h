// Whether a run is a distributed one in Lightning's sense.
#pragma once

#include "worker/trainer/strategies/strategy.h"
#include "worker/trainer/trainer/options.h"

namespace lctl {

// Several ranks, or one whose job names a strategy of the ddp family: that one shards its data (so
// that the order of its samples is a DistributedSampler's) and starts from the seed, too.
inline bool is_distributed_run(const Strategy& strategy, const TrainerOptions& options) {
  return strategy.is_distributed() || options.strategy.starts_with("ddp");
}

}  // namespace lctl
