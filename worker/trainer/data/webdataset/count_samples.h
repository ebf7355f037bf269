// How many samples shards hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "worker/trainer/data/webdataset/open_shards.h"

namespace lctl::webdataset {

// The number of samples of each of those shards, by reading their headers with several threads. A
// damaged shard counts with what comes before the damage. Throws std::runtime_error for a file that
// cannot be opened or read.
std::vector<std::int64_t> count_samples(const OpenShards& shards,
                                        const std::vector<std::size_t>& which);

}  // namespace lctl::webdataset
