// How much has been loaded into data sets in memory: tells loading in setup() from loading too
// early.
#pragma once

#include <cstdint>

namespace lctl {

// Bytes of all tensor data sets that this process has ever made. Any thread.
std::int64_t loaded_bytes();
void count_loaded_bytes(std::int64_t bytes);

}  // namespace lctl
