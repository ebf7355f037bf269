#include "storage/tracking/sqlite_artifact_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "storage/blobs/checkpoint_store.h"
#include "storage/blobs/sha256.h"
#include "storage/jobs/texts.h"
#include "storage/tracking/artifact_rows.h"

namespace lctl::storage {
namespace {

// Bounds one answer of read().
constexpr std::int64_t kMaxReadBytes = 16 << 20;

class ChunkedWriter final : public ArtifactWriter {
 public:
  ChunkedWriter(Database& database, ChunkFolder& chunks, const Clock& clock, std::string path)
      : database_(database), chunks_(chunks), clock_(clock), path_(std::move(path)) {}

  absl::Status append(std::string_view bytes) override {
    if (static_cast<std::int64_t>(bytes.size()) > kMaxArtifactBytes - stored_ - pending_size()) {
      return absl::InvalidArgumentError(fmt::format(
          "'{}' has more than {} bytes: store it in parts", shown(path_), kMaxArtifactBytes));
    }
    while (!bytes.empty()) {
      const std::size_t room = static_cast<std::size_t>(kMaxChunkBytes) - pending_.size();
      const std::string_view part = bytes.substr(0, room);
      pending_.append(part);
      bytes.remove_prefix(part.size());
      if (pending_size() == kMaxChunkBytes) LCTL_RETURN_IF_ERROR(store());
    }
    return absl::OkStatus();
  }

  absl::Status commit() override {
    if (!pending_.empty()) LCTL_RETURN_IF_ERROR(store());
    // Each is young again: garbage collection spares it until the rows say that it is used.
    for (const ArtifactChunk& chunk : parts_) {
      LCTL_ASSIGN_OR_RETURN(const std::optional<std::int64_t> size, chunks_.touch(chunk.sha256));
      if (size == chunk.size) continue;
      return absl::AbortedError(fmt::format(
          "a part of '{}' was removed before all of it had come; send it again", shown(path_)));
    }
    const std::int64_t now_us = unix_micros(clock_.wall_now());
    return database_.write([&](Connection& connection) {
      return insert_artifact(connection, path_, stored_, parts_, now_us);
    });
  }

 private:
  std::int64_t pending_size() const { return static_cast<std::int64_t>(pending_.size()); }

  absl::Status store() {
    std::string sha256 = sha256_of(pending_);
    LCTL_RETURN_IF_ERROR(with_context(chunks_.put(sha256, pending_).status(),
                                      fmt::format("storing '{}'", shown(path_))));
    parts_.push_back({.sha256 = std::move(sha256), .file_offset = stored_, .size = pending_size()});
    stored_ += pending_size();
    pending_.clear();
    return absl::OkStatus();
  }

  Database& database_;
  ChunkFolder& chunks_;
  const Clock& clock_;
  const std::string path_;
  std::string pending_;  // less than a chunk
  std::vector<ArtifactChunk> parts_;
  std::int64_t stored_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ArtifactWriter>> SqliteArtifactStore::write(
    const std::string& path) {
  LCTL_RETURN_IF_ERROR(check_artifact_path(path));
  return std::make_unique<ChunkedWriter>(database_, chunks_, clock_, path);
}

absl::StatusOr<Artifact> SqliteArtifactStore::find(std::string_view path) const {
  return database_.read([&](Connection& connection) { return find_artifact(connection, path); });
}

absl::StatusOr<std::string> SqliteArtifactStore::read(std::int64_t number, std::int64_t offset,
                                                      std::int64_t size) const {
  if (offset < 0 || size < 1) {
    return absl::InvalidArgumentError(
        fmt::format("cannot read {} bytes from byte {} of an artifact", size, offset));
  }
  size = std::min(size, kMaxReadBytes);
  std::string path;
  LCTL_ASSIGN_OR_RETURN(
      const std::vector<ArtifactChunk> chunks,
      database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<ArtifactChunk>> {
        Query query = connection.query("SELECT path, size FROM artifacts WHERE number = ?1");
        query.bind(number);
        if (!query.step()) {
          return absl::NotFoundError("the artifact was removed or replaced while it was read");
        }
        path = std::string(query.text(0));
        if (offset >= query.integer(1)) return std::vector<ArtifactChunk>();
        return chunks_of_artifact(connection, number, offset, size);
      }));
  std::string bytes;
  for (const ArtifactChunk& chunk : chunks) {
    const auto done = static_cast<std::int64_t>(bytes.size());
    // Whole chunks while they fit: a reader that goes on from here then checks each chunk once.
    if (done > 0 && done + chunk.size > size) break;
    absl::StatusOr<std::string> whole = chunks_.read(chunk.sha256, chunk.size);
    if (!whole.ok()) {
      return with_context(whole.status(), fmt::format("artifact '{}'", shown(path)));
    }
    const std::int64_t begin = std::max(offset - chunk.file_offset, std::int64_t{0});
    bytes.append(*whole, static_cast<std::size_t>(begin), static_cast<std::size_t>(size - done));
  }
  return bytes;
}

absl::StatusOr<std::vector<Artifact>> SqliteArtifactStore::list(std::string_view folder) const {
  return database_.read([&](Connection& connection) { return list_artifacts(connection, folder); });
}

absl::Status SqliteArtifactStore::remove(std::string_view path) {
  const std::int64_t now_us = unix_micros(clock_.wall_now());
  return database_.write(
      [&](Connection& connection) { return remove_artifacts(connection, path, now_us); });
}

}  // namespace lctl::storage
