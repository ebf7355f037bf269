// torch's default_collate.
#pragma once

#include <vector>

#include "worker/trainer/data/batch.h"

namespace lctl {

// Stacks samples of equal structure along a new first dimension, into fresh contiguous tensors;
// texts become a list of texts. Throws std::invalid_argument naming the two differing shapes.
Batch collate(const std::vector<Batch>& samples);

}  // namespace lctl
