#include "worker/trainer/factory/batch_share.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "worker/trainer/core/errors.h"

namespace lctl {

std::int64_t BatchShare::of(std::int64_t batch_size) const {
  return batch_size / world * full_world + batch_size % world * full_world / world;
}

BatchShare batch_share(const v1::JobSpec& job, int world_size) {
  BatchShare share;
  if (!job.has_elastic()) return share;
  const std::int64_t devices = job.resources().devices_per_node();
  share.full_world = job.elastic().max_nodes() * devices;
  share.world = world_size;
  const auto& counts = job.elastic().node_counts();
  const bool possible = std::any_of(counts.begin(), counts.end(), [&](std::int64_t nodes) {
    return nodes * devices == share.world;
  });
  if (!possible) {
    throw MisconfigurationException(
        fmt::format("job.elastic: {} ranks cannot share a batch of {} ranks evenly", world_size,
                    share.full_world));
  }
  share.pad_to = share.full_world;
  for (const std::int64_t nodes : counts) share.pad_to = std::lcm(share.pad_to, nodes * devices);
  return share;
}

}  // namespace lctl
