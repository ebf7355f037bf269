// Training batches that are not trained on: earlier attempts of this job went astray on them.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/trainer/core/last_words.h"

namespace lctl {

// Of this process, as its environment names them (LCTL_SKIP_BATCHES, docs/formats/launch.md); read
// once. Throws std::invalid_argument that names the variable. Any thread.
const std::vector<BatchPlace>& left_out_batches();

// Whether a batch is one of them, or shares an optimizer step of `accumulated` batches with one.
bool is_left_out(std::int64_t epoch, std::int64_t batch_idx, std::int64_t accumulated);

}  // namespace lctl
