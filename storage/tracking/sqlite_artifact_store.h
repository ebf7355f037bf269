// ArtifactStore over SQLite (paths) and a ChunkFolder (bytes).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "storage/blobs/chunk_folder.h"
#include "storage/sqlite/database.h"
#include "storage/tracking/artifact_store.h"

namespace lctl::storage {

// All three must outlive it and its writers. Thread rule: internally locked.
class SqliteArtifactStore final : public ArtifactStore {
 public:
  SqliteArtifactStore(Database& database, ChunkFolder& chunks, const Clock& clock)
      : database_(database), chunks_(chunks), clock_(clock) {}

  absl::StatusOr<std::unique_ptr<ArtifactWriter>> write(const std::string& path) override;
  absl::StatusOr<Artifact> find(std::string_view path) const override;
  absl::StatusOr<std::string> read(std::int64_t number, std::int64_t offset,
                                   std::int64_t size) const override;
  absl::StatusOr<std::vector<Artifact>> list(std::string_view folder) const override;
  absl::Status remove(std::string_view path) override;

 private:
  Database& database_;
  ChunkFolder& chunks_;
  const Clock& clock_;
};

}  // namespace lctl::storage
