// Rows of artifacts.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "storage/sqlite/connection.h"
#include "storage/tracking/artifact_store.h"

// Errors of SQL are SQLite::Exception; those that write: inside a transaction of the writer.
namespace lctl::storage {

struct ArtifactChunk {
  std::string sha256;  // 32 bytes
  std::int64_t file_offset = 0;
  std::int64_t size = 0;
};

absl::StatusOr<Artifact> find_artifact(Connection& connection, std::string_view path);

// Those that cover [offset, offset + size) of the file.
std::vector<ArtifactChunk> chunks_of_artifact(Connection& connection, std::int64_t number,
                                              std::int64_t offset, std::int64_t size);

absl::StatusOr<std::vector<Artifact>> list_artifacts(Connection& connection,
                                                     std::string_view folder);

absl::Status insert_artifact(Connection& connection, std::string_view path, std::int64_t size,
                             std::span<const ArtifactChunk> chunks, std::int64_t now_us);

// Their chunks become a matter of garbage collection.
absl::Status remove_artifacts(Connection& connection, std::string_view path, std::int64_t now_us);

}  // namespace lctl::storage
