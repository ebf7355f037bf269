#include "server/services/chunk_groups.h"

#include <utility>

namespace lctl::services {
namespace {

constexpr std::size_t kMostChunks = 64;  // of a group: the store has a file open for each

}  // namespace

absl::Status ChunkGroups::add(v1::Chunk chunk) {
  bytes_ += chunk.data().size();
  group_.push_back(std::move(chunk));
  if (bytes_ < group_bytes_ && group_.size() < kMostChunks) return absl::OkStatus();
  return store_group();
}

absl::StatusOr<std::int64_t> ChunkGroups::finish() {
  LCTL_RETURN_IF_ERROR(store_group());
  LCTL_RETURN_IF_ERROR(wait());
  return stored_;
}

absl::Status ChunkGroups::store_group() {
  LCTL_RETURN_IF_ERROR(wait());
  if (group_.empty()) return absl::OkStatus();
  under_way_ = std::exchange(group_, {});
  bytes_ = 0;
  storing_ = std::async([this] {
    std::vector<storage::Chunk> chunks;
    chunks.reserve(under_way_.size());
    for (const v1::Chunk& each : under_way_) chunks.push_back({each.sha256(), each.data()});
    return store_.put_all(chunks);
  });
  return absl::OkStatus();
}

absl::Status ChunkGroups::wait() {
  if (!storing_.valid()) return absl::OkStatus();
  LCTL_ASSIGN_OR_RETURN(const std::int64_t stored, storing_.get());
  stored_ += stored;
  return absl::OkStatus();
}

}  // namespace lctl::services
