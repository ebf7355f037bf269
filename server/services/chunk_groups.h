// The chunks of an upload on their way into the store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <future>
#include <vector>

#include "base/status.h"
#include "proto/lctl/v1/checkpoint.pb.h"
#include "storage/blobs/checkpoint_store.h"

namespace lctl::services {

// Stores chunks in groups: one is checked, written and synced while the next is received. Holds two
// groups at most. Thread rule: caller locks.
class ChunkGroups {
 public:
  // A group is whole with so many bytes, or 64 chunks; 0: each chunk is one. The store must outlive
  // it.
  ChunkGroups(storage::CheckpointStore& store, std::size_t group_bytes)
      : store_(store), group_bytes_(group_bytes) {}

  // Waits for the group before when this one is whole. An error is that of a group before.
  absl::Status add(v1::Chunk chunk);

  // How many of all were not there yet, once all are stored.
  absl::StatusOr<std::int64_t> finish();

 private:
  absl::Status store_group();
  absl::Status wait();

  storage::CheckpointStore& store_;
  const std::size_t group_bytes_;
  std::size_t bytes_ = 0;  // of group_
  std::int64_t stored_ = 0;
  std::vector<v1::Chunk> group_;
  std::vector<v1::Chunk> under_way_;
  std::future<absl::StatusOr<std::int64_t>> storing_;  // under_way_; waits when it is destroyed
};

}  // namespace lctl::services
