// CheckpointStore over SQLite (manifests) and a ChunkFolder (bytes).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "storage/blobs/checkpoint_quotas.h"
#include "storage/blobs/checkpoint_store.h"
#include "storage/blobs/chunk_folder.h"
#include "storage/sqlite/database.h"

namespace lctl::storage {

// All three must outlive it. Thread rule: internally locked.
class SqliteCheckpointStore final : public CheckpointStore {
 public:
  SqliteCheckpointStore(Database& database, ChunkFolder& chunks, const Clock& clock,
                        CheckpointQuotas quotas)
      : database_(database), chunks_(chunks), clock_(clock), quotas_(quotas) {}

  absl::StatusOr<std::vector<std::string>> missing(
      std::span<const std::string> hashes) const override;
  absl::StatusOr<std::int64_t> put_all(std::span<const Chunk> chunks) override;
  absl::StatusOr<CheckpointId> commit(const Manifest& manifest) override;
  absl::StatusOr<std::int64_t> trim(const JobId& job) override;
  absl::StatusOr<std::vector<CheckpointRow>> list(const JobId& job) const override;
  absl::StatusOr<CheckpointRow> get(const CheckpointId& id) const override;
  absl::StatusOr<CheckpointRow> newest(const JobId& job, const Eligible& eligible) const override;
  absl::StatusOr<std::string> read(const CheckpointId& id, std::int64_t offset,
                                   std::int64_t size) const override;
  absl::StatusOr<std::string> verify(const CheckpointId& id) override;
  absl::Status mark_unreadable(const CheckpointId& id, std::string_view why) override;
  absl::StatusOr<Freed> collect_garbage(const Collecting& how) override;
  absl::StatusOr<Freed> collect_dropped(const Collecting& how) override;

 private:
  absl::Status check_chunk(const ChunkRef& chunk) const;
  absl::Status check_content(const Manifest& manifest) const;
  absl::StatusOr<bool> remove_if_unused(std::string_view sha256, WallTime cutoff, bool dry_run);
  absl::Status put_aside_if_damaged(const ChunkRef& chunk) const;

  Database& database_;
  ChunkFolder& chunks_;
  const Clock& clock_;
  const CheckpointQuotas quotas_;
};

}  // namespace lctl::storage
