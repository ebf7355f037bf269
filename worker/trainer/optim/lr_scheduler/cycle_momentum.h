// Momentum that moves against the learning rate: what OneCycleLR and CyclicLR share.
#pragma once

#include <vector>

#include "worker/trainer/optim/optimizer.h"

namespace lctl {

// Whether the momentum is the first of the group's `betas`.
bool has_betas(Optimizer& optimizer);
void set_momentum(ParamGroup& group, double momentum);

// Writes max_momentum and base_momentum into the groups and starts at the former. Throws
// std::invalid_argument in torch's words when the optimizer has no momentum.
void prepare_cycle_momentum(Optimizer& optimizer, const std::vector<double>& base_momentum,
                            const std::vector<double>& max_momentum);

}  // namespace lctl
