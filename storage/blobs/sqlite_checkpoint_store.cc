#include "storage/blobs/sqlite_checkpoint_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <optional>
#include <unordered_set>
#include <utility>

#include "absl/strings/escaping.h"
#include "storage/blobs/checkpoint_commit.h"
#include "storage/blobs/checkpoint_damage.h"
#include "storage/blobs/checkpoint_rows.h"
#include "storage/blobs/checkpoint_use.h"
#include "storage/blobs/sha256.h"
#include "storage/jobs/job_rows.h"

namespace lctl::storage {
namespace {

constexpr auto kUploadGuard = std::chrono::hours(1);
// Bounds one answer of read().
constexpr std::int64_t kMaxReadBytes = 16 << 20;

// The beginning of a hash as it was sent, fit for a message.
std::string printable(std::string_view hex) {
  return absl::CHexEscape(std::string(hex.substr(0, 80)));
}

struct Piece {
  std::string sha256;
  std::int64_t file_offset = 0;
  std::int64_t size = 0;
};

// The chunks that cover [offset, offset + size) of a checkpoint.
std::vector<Piece> pieces_of(Connection& connection, const CheckpointId& id, std::int64_t offset,
                             std::int64_t size) {
  Query query = connection.query(
      "SELECT m.sha256, m.file_offset, m.size FROM checkpoints c"
      " JOIN manifest_chunks m ON m.checkpoint = c.number WHERE c.id = ?1"
      " AND m.file_offset >= (SELECT max(f.file_offset) FROM manifest_chunks f"
      "  WHERE f.checkpoint = c.number AND f.file_offset <= ?2)"
      " AND m.file_offset < ?3 ORDER BY m.file_offset");
  query.bind(id.str(), offset, offset + size);
  std::vector<Piece> pieces;
  while (query.step()) {
    pieces.push_back({std::string(query.blob(0)), query.integer(1), query.integer(2)});
  }
  return pieces;
}

std::vector<std::string> ids_of(Connection& connection, const JobRow& job) {
  Query query = connection.query(
      "SELECT id FROM checkpoints WHERE job = ?1 AND dropped_us IS NULL AND removed = 0"
      " ORDER BY attempt, spool_offset, number");
  query.bind(job.number);
  std::vector<std::string> ids;
  while (query.step()) ids.emplace_back(query.text(0));
  return ids;
}

absl::Status lacks(const ChunkRef& chunk) {
  return absl::AbortedError(fmt::format(
      "the store lacks chunk {} and perhaps others; send what is missing, then commit again",
      chunk.sha256));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> SqliteCheckpointStore::missing(
    std::span<const std::string> hashes) const {
  std::vector<std::string> absent;
  std::unordered_set<std::string_view> seen;
  for (const std::string& hex : hashes) {
    const std::string sha256 = parse_sha256(hex);
    if (sha256.empty()) {
      return absl::InvalidArgumentError(
          fmt::format("'{}' is not a SHA-256 of 64 lower-case hex digits", printable(hex)));
    }
    if (!seen.insert(hex).second) continue;
    LCTL_ASSIGN_OR_RETURN(const std::optional<std::int64_t> size, chunks_.touch(sha256));
    if (!size) absent.push_back(hex);
  }
  return absent;
}

absl::StatusOr<std::int64_t> SqliteCheckpointStore::put_all(std::span<const Chunk> chunks) {
  std::vector<std::string> hashes;
  hashes.reserve(chunks.size());
  for (const Chunk& chunk : chunks) {
    if (chunk.bytes.empty() || chunk.bytes.size() > static_cast<std::size_t>(kMaxChunkBytes)) {
      return absl::InvalidArgumentError(fmt::format("a chunk of {} bytes; 1 to {} are allowed",
                                                    chunk.bytes.size(), kMaxChunkBytes));
    }
    hashes.push_back(sha256_of(chunk.bytes));
    if (const std::string hex = to_hex(hashes.back()); hex != chunk.sha256) {
      return absl::InvalidArgumentError(fmt::format(
          "a chunk said to be {} has the SHA-256 {}: it was damaged on its way; send it again",
          printable(chunk.sha256), hex));
    }
  }
  std::vector<ChunkFolder::Chunk> checked;
  checked.reserve(chunks.size());
  for (std::size_t i = 0; i < chunks.size(); ++i) checked.push_back({hashes[i], chunks[i].bytes});
  return chunks_.put_all(checked);
}

// Why a commit cannot rely on this chunk; OK when it can.
absl::Status SqliteCheckpointStore::check_chunk(const ChunkRef& chunk) const {
  const std::string sha256 = parse_sha256(chunk.sha256);
  LCTL_ASSIGN_OR_RETURN(const std::optional<std::int64_t> size, chunks_.touch(sha256));
  if (!size) return lacks(chunk);
  if (*size == chunk.size) return absl::OkStatus();
  LCTL_RETURN_IF_ERROR(put_aside_if_damaged(chunk));
  return absl::InvalidArgumentError(
      fmt::format("chunk {} has {} bytes, the manifest says {}", chunk.sha256, *size, chunk.size));
}

absl::Status SqliteCheckpointStore::put_aside_if_damaged(const ChunkRef& chunk) const {
  LCTL_ASSIGN_OR_RETURN(const bool damaged,
                        chunks_.put_aside_if_damaged(parse_sha256(chunk.sha256)));
  if (!damaged) return absl::OkStatus();
  return absl::AbortedError(fmt::format(
      "chunk {} was damaged in the store and has been put aside; send it, then commit again",
      chunk.sha256));
}

absl::Status SqliteCheckpointStore::check_content(const Manifest& manifest) const {
  for (const ChunkRef& chunk : manifest.chunks) LCTL_RETURN_IF_ERROR(check_chunk(chunk));
  // The hash of the whole is computed beside the next chunk's own.
  Sha256 whole;
  std::string hashed;
  std::future<void> hashing;
  for (const ChunkRef& chunk : manifest.chunks) {
    absl::StatusOr<std::string> bytes = chunks_.read(parse_sha256(chunk.sha256), chunk.size);
    if (absl::IsDataLoss(bytes.status())) {
      LCTL_RETURN_IF_ERROR(put_aside_if_damaged(chunk));
      return lacks(chunk);  // the collector has taken it since
    }
    if (!bytes.ok()) return bytes.status();
    if (hashing.valid()) hashing.get();
    hashed = *std::move(bytes);
    hashing = std::async([&] { whole.update(hashed); });
  }
  if (hashing.valid()) hashing.get();
  if (const std::string hex = to_hex(whole.finish()); hex != manifest.sha256) {
    return absl::InvalidArgumentError(fmt::format(
        "its chunks make a file with the SHA-256 {}, the manifest says {}", hex, manifest.sha256));
  }
  // Again, since reading a huge file may have taken longer than garbage collection spares them.
  for (const ChunkRef& chunk : manifest.chunks) LCTL_RETURN_IF_ERROR(check_chunk(chunk));
  return absl::OkStatus();
}

absl::StatusOr<CheckpointId> SqliteCheckpointStore::commit(const Manifest& manifest) {
  LCTL_RETURN_IF_ERROR(check_manifest(manifest));
  LCTL_ASSIGN_OR_RETURN(
      const std::optional<CheckpointId> earlier,
      database_.read([&](Connection& connection) -> absl::StatusOr<std::optional<CheckpointId>> {
        if (std::optional<CheckpointId> id = find_committed(connection, manifest)) return id;
        // Before the bytes are read; and again in the transaction that counts.
        LCTL_ASSIGN_OR_RETURN(const JobRow job, require_current(connection, manifest.attempt));
        LCTL_RETURN_IF_ERROR(check_use(connection, job, quotas_));
        return std::nullopt;
      }));
  if (earlier) return *earlier;
  LCTL_RETURN_IF_ERROR(with_context(
      check_content(manifest),
      fmt::format("checkpoint '{}' of {}", manifest.written.name(), manifest.attempt.str())));
  const std::int64_t now_us = unix_micros(clock_.wall_now());
  return database_.write([&](Connection& connection) -> absl::StatusOr<CheckpointId> {
    LCTL_ASSIGN_OR_RETURN(CheckpointId id, insert_checkpoint(connection, manifest, now_us));
    // After the job's own retention: one that takes the place of another of its size fits.
    LCTL_ASSIGN_OR_RETURN(const JobRow job, require_current(connection, manifest.attempt));
    LCTL_RETURN_IF_ERROR(check_use(connection, job, quotas_));
    return id;
  });
}

absl::StatusOr<std::int64_t> SqliteCheckpointStore::trim(const JobId& id) {
  const std::int64_t now_us = unix_micros(clock_.wall_now());
  return database_.write([&](Connection& connection) -> absl::StatusOr<std::int64_t> {
    LCTL_ASSIGN_OR_RETURN(const JobRow job, require_finished(connection, id));
    LCTL_ASSIGN_OR_RETURN(const std::vector<SpareCheckpoint> spare,
                          spare_checkpoints(connection, job, job.state));
    std::int64_t bytes = 0;
    for (const SpareCheckpoint& checkpoint : spare) {
      drop_manifest(connection, checkpoint.number, now_us);
      bytes += checkpoint.stored_bytes;
    }
    return bytes;
  });
}

absl::StatusOr<std::vector<CheckpointRow>> SqliteCheckpointStore::list(const JobId& id) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<CheckpointRow>> {
    LCTL_ASSIGN_OR_RETURN(const JobRow job, require_job(connection, id.str()));
    std::vector<CheckpointRow> rows;
    for (const std::string& checkpoint : ids_of(connection, job)) {
      LCTL_ASSIGN_OR_RETURN(CheckpointRow row, read_checkpoint(connection, checkpoint));
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

absl::StatusOr<CheckpointRow> SqliteCheckpointStore::get(const CheckpointId& id) const {
  return database_.read(
      [&](Connection& connection) { return read_checkpoint(connection, id.str()); });
}

absl::StatusOr<CheckpointRow> SqliteCheckpointStore::newest(const JobId& id,
                                                            const Eligible& eligible) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<CheckpointRow> {
    LCTL_ASSIGN_OR_RETURN(const JobRow job, require_job(connection, id.str()));
    LCTL_ASSIGN_OR_RETURN(const std::optional<std::int64_t> number,
                          newest_checkpoint(connection, job, eligible));
    if (!number) {
      return absl::NotFoundError(fmt::format("job {} has no checkpoint to go on from", id.str()));
    }
    Query query = connection.query("SELECT id FROM checkpoints WHERE number = ?1");
    query.bind(*number);
    query.step();
    return read_checkpoint(connection, query.text(0));
  });
}

absl::StatusOr<std::string> SqliteCheckpointStore::read(const CheckpointId& id, std::int64_t offset,
                                                        std::int64_t size) const {
  if (offset < 0 || size < 1) {
    return absl::InvalidArgumentError(
        fmt::format("cannot read {} bytes from byte {} of a checkpoint", size, offset));
  }
  size = std::min(size, kMaxReadBytes);
  CheckpointRow row;
  LCTL_ASSIGN_OR_RETURN(
      const std::vector<Piece> pieces,
      database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<Piece>> {
        LCTL_ASSIGN_OR_RETURN(row, read_checkpoint(connection, id.str()));
        return offset < row.written.size() ? pieces_of(connection, id, offset, size)
                                           : std::vector<Piece>();
      }));
  std::string bytes;
  for (const Piece& piece : pieces) {
    // Whole chunks while they fit: a reader that goes on from here then checks each chunk once.
    const std::int64_t done = static_cast<std::int64_t>(bytes.size());
    if (done > 0 && done + piece.size > size) break;
    absl::StatusOr<std::string> chunk = chunks_.read(piece.sha256, piece.size);
    if (!chunk.ok()) {
      return with_context(chunk.status(),
                          fmt::format("checkpoint {} ({})", id.str(), row.written.name()));
    }
    const std::int64_t begin = std::max(offset - piece.file_offset, std::int64_t{0});
    bytes.append(*chunk, static_cast<std::size_t>(begin), static_cast<std::size_t>(size - done));
  }
  return bytes;
}

absl::StatusOr<std::string> SqliteCheckpointStore::verify(const CheckpointId& id) {
  return verify_checkpoint(database_, chunks_, id);
}

absl::Status SqliteCheckpointStore::mark_unreadable(const CheckpointId& id, std::string_view why) {
  return storage::mark_unreadable(database_, id, why);
}

// Deletes a chunk (or says that it would) that no manifest names and that was last relied on before
// `cutoff`.
absl::StatusOr<bool> SqliteCheckpointStore::remove_if_unused(std::string_view sha256,
                                                             WallTime cutoff, bool dry_run) {
  // A read sees committed manifests only, so nothing goes that a failing commit would bring
  // back; a manifest that is being committed has just made its chunks young.
  LCTL_ASSIGN_OR_RETURN(
      const bool referred, database_.read([&](Connection& connection) -> absl::StatusOr<bool> {
        Query query = connection.query("SELECT 1 FROM used_chunks WHERE sha256 = ?1 LIMIT 1");
        query.bind(Blob{sha256});
        return query.step();
      }));
  if (referred) return false;
  return dry_run ? chunks_.is_older(sha256, cutoff) : chunks_.remove_if_older(sha256, cutoff);
}

absl::StatusOr<Freed> SqliteCheckpointStore::collect_garbage(const Collecting& how) {
  const WallTime cutoff = clock_.wall_now() - kUploadGuard;
  Freed freed;
  const absl::Status status =
      chunks_.for_each([&](const std::string& sha256, std::int64_t size) -> absl::Status {
        if (how.stop.stop_requested() || chunks_.held()) {
          return absl::CancelledError("garbage collection was stopped");
        }
        LCTL_ASSIGN_OR_RETURN(const bool removed, remove_if_unused(sha256, cutoff, how.dry_run));
        if (removed) {
          ++freed.chunks;
          freed.bytes += size;
        }
        return absl::OkStatus();
      });
  if (!status.ok() && !absl::IsCancelled(status)) return status;
  return freed;
}

absl::StatusOr<Freed> SqliteCheckpointStore::collect_dropped(const Collecting& how) {
  struct Dropped {
    std::string sha256;
    std::int64_t dropped_us = 0;
  };
  LCTL_ASSIGN_OR_RETURN(
      const std::vector<Dropped> dropped,
      database_.read([](Connection& connection) -> absl::StatusOr<std::vector<Dropped>> {
        Query query = connection.query("SELECT sha256, dropped_us FROM dropped_chunks");
        std::vector<Dropped> rows;
        while (query.step()) rows.push_back({std::string(query.blob(0)), query.integer(1)});
        return rows;
      }));
  Freed freed;
  std::size_t done = 0;
  for (; done < dropped.size() && !how.stop.stop_requested() && !chunks_.held(); ++done) {
    const Dropped& chunk = dropped[done];
    LCTL_ASSIGN_OR_RETURN(const std::optional<std::int64_t> size, chunks_.size(chunk.sha256));
    if (!size) continue;
    // An upload that was told of it before the drop is told at its commit that it lacks.
    LCTL_ASSIGN_OR_RETURN(
        const bool removed,
        remove_if_unused(chunk.sha256, from_unix_micros(chunk.dropped_us + 1), how.dry_run));
    if (removed) {
      ++freed.chunks;
      freed.bytes += *size;
    }
  }
  if (done == 0 || how.dry_run) return freed;
  // What is still there is in use again; or in an hour's time a matter of collect_garbage().
  LCTL_RETURN_IF_ERROR(database_.write([&](Connection& connection) -> absl::Status {
    for (std::size_t i = 0; i < done; ++i) {
      connection.query("DELETE FROM dropped_chunks WHERE sha256 = ?1 AND dropped_us = ?2")
          .bind(Blob{dropped[i].sha256}, dropped[i].dropped_us)
          .run();
    }
    return absl::OkStatus();
  }));
  return freed;
}

}  // namespace lctl::storage
