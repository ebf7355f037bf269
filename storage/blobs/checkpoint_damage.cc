#include "storage/blobs/checkpoint_damage.h"

#include <cstdint>
#include <vector>

#include "storage/blobs/checkpoint_rows.h"

namespace lctl::storage {
namespace {

struct NamedChunk {
  std::string sha256;
  std::int64_t size = 0;
};

struct KeptCheckpoint {
  std::string damage;
  std::vector<NamedChunk> chunks;  // each once
};

absl::StatusOr<KeptCheckpoint> read_kept(const Database& database, const CheckpointId& id) {
  return database.read([&](Connection& connection) -> absl::StatusOr<KeptCheckpoint> {
    LCTL_ASSIGN_OR_RETURN(const CheckpointRow row, read_checkpoint(connection, id.str()));
    KeptCheckpoint kept{.damage = row.damage, .chunks = {}};
    Query query = connection.query(
        "SELECT m.sha256, m.size FROM checkpoints c JOIN manifest_chunks m"
        " ON m.checkpoint = c.number WHERE c.id = ?1 GROUP BY m.sha256, m.size"
        " ORDER BY min(m.file_offset)");
    query.bind(id.str());
    while (query.step()) kept.chunks.push_back({std::string(query.blob(0)), query.integer(1)});
    return kept;
  });
}

}  // namespace

absl::StatusOr<std::string> mark_if_damaged(Database& database, ChunkFolder& chunks,
                                            std::string_view sha256, std::int64_t size) {
  const absl::Status first = chunks.read(sha256, size).status();
  if (!absl::IsDataLoss(first)) return first.ok() ? absl::StatusOr<std::string>("") : first;
  LCTL_RETURN_IF_ERROR(chunks.put_aside_if_damaged(sha256).status());
  // A second look: somebody may have stored it anew.
  const absl::Status second = chunks.read(sha256, size).status();
  if (!absl::IsDataLoss(second)) return second.ok() ? absl::StatusOr<std::string>("") : second;
  std::string why(message_of(first));
  LCTL_RETURN_IF_ERROR(database.write([&](Connection& connection) -> absl::Status {
    connection
        .query(
            "UPDATE checkpoints SET damage = ?2, damaged_chunk = ?1 WHERE dropped_us IS NULL"
            " AND damage = '' AND number IN"
            " (SELECT checkpoint FROM manifest_chunks WHERE sha256 = ?1)")
        .bind(Blob{sha256}, why)
        .run();
    return absl::OkStatus();
  }));
  return why;
}

absl::StatusOr<std::string> verify_checkpoint(Database& database, ChunkFolder& chunks,
                                              const CheckpointId& id) {
  LCTL_ASSIGN_OR_RETURN(const KeptCheckpoint kept, read_kept(database, id));
  bool sound = true;
  for (const NamedChunk& chunk : kept.chunks) {
    LCTL_ASSIGN_OR_RETURN(const std::string fault,
                          mark_if_damaged(database, chunks, chunk.sha256, chunk.size));
    sound = sound && fault.empty();
  }
  if (sound && !kept.damage.empty()) {
    LCTL_RETURN_IF_ERROR(database.write([&](Connection& connection) -> absl::Status {
      connection
          .query(
              "UPDATE checkpoints SET damage = '', damaged_chunk = NULL"
              " WHERE id = ?1 AND damaged_chunk IS NOT NULL")
          .bind(id.str())
          .run();
      return absl::OkStatus();
    }));
  }
  // As it stands now; what was found first is what it says.
  LCTL_ASSIGN_OR_RETURN(KeptCheckpoint now, read_kept(database, id));
  return std::move(now.damage);
}

absl::Status mark_unreadable(Database& database, const CheckpointId& id, std::string_view why) {
  return database.write([&](Connection& connection) -> absl::Status {
    connection.query("UPDATE checkpoints SET damage = ?2 WHERE id = ?1 AND damage = ''")
        .bind(id.str(), why)
        .run();
    return absl::OkStatus();
  });
}

}  // namespace lctl::storage
