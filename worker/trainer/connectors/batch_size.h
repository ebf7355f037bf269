// How many samples a batch holds, for weighted means of metrics.
#pragma once

#include <cstdint>

#include "worker/trainer/data/batch.h"

namespace lctl {

// Lightning's rule: walk the batch depth first; the first tensor's dimension 0 counts (1 for a
// 0-dim tensor); a later, different one warns once. Throws MisconfigurationException when there is
// none.
std::int64_t extract_batch_size(const Batch& batch);

}  // namespace lctl
