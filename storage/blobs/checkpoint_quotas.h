// How much of the store the checkpoints of one user or experiment may take.
#pragma once

#include <cstdint>

namespace lctl::storage {

// Bytes of chunks, each counted for the checkpoint that stored it. 0 = no limit.
struct CheckpointQuotas {
  std::int64_t per_user_bytes = 0;
  std::int64_t per_experiment_bytes = 0;
};

}  // namespace lctl::storage
