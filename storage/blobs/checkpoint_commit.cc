#include "storage/blobs/checkpoint_commit.h"

#include <fmt/format.h>

#include <set>
#include <string>

#include "storage/blobs/checkpoint_rows.h"
#include "storage/blobs/sha256.h"

namespace lctl::storage {
namespace {

constexpr std::size_t kMaxChunks = 262'144;  // 1 TiB of full chunks
constexpr std::size_t kMaxNameBytes = 4'096;

// Whether rank 0 reported, behind this capture, that its callback had removed the file.
bool was_removed(Connection& connection, const JobRow& job, const Manifest& manifest) {
  if (manifest.written.kind() != v1::CHECKPOINT_KIND_MODEL) return false;
  Query query = connection.query(
      "SELECT 1 FROM checkpoint_removals WHERE job = ?1 AND name = ?2"
      " AND (?3, ?4) <= (attempt, spool_offset)");
  query.bind(job.number, manifest.written.name(), manifest.attempt.number,
             manifest.written.spool_offset());
  return query.step();
}

// Bytes of the chunks that nobody uses yet.
std::int64_t new_bytes(Connection& connection, const Manifest& manifest) {
  std::set<std::string_view> seen;
  std::int64_t bytes = 0;
  for (const ChunkRef& chunk : manifest.chunks) {
    if (!seen.insert(chunk.sha256).second) continue;
    Query query = connection.query("SELECT 1 FROM used_chunks WHERE sha256 = ?1 LIMIT 1");
    query.bind(Blob{parse_sha256(chunk.sha256)});
    if (!query.step()) bytes += chunk.size;
  }
  return bytes;
}

void insert_chunks(Connection& connection, std::int64_t checkpoint, const Manifest& manifest) {
  std::int64_t file_offset = 0;
  for (const ChunkRef& chunk : manifest.chunks) {
    connection
        .query(
            "INSERT INTO manifest_chunks (checkpoint, file_offset, sha256, size)"
            " VALUES (?1, ?2, ?3, ?4)")
        .bind(checkpoint, file_offset, Blob{parse_sha256(chunk.sha256)}, chunk.size)
        .run();
    file_offset += chunk.size;
  }
}

}  // namespace

absl::Status check_manifest(const Manifest& manifest) {
  const v1::CheckpointWritten& written = manifest.written;
  const auto invalid = [&](std::string_view what) {
    return absl::InvalidArgumentError(
        fmt::format("checkpoint '{}' of {}: {}", written.name(), manifest.attempt.str(), what));
  };
  if (written.file().empty() || written.file().size() > kMaxNameBytes ||
      written.file().find('/') != std::string::npos || written.name().size() > kMaxNameBytes) {
    return invalid(fmt::format(
        "its file must be named, without '/', and no name may exceed {} bytes", kMaxNameBytes));
  }
  if (written.spool_offset() >> 63 != 0) return invalid("its spool offset is 2^63 or more");
  if (manifest.rank < 0) return invalid(fmt::format("its rank is {}", manifest.rank));
  if (parse_sha256(manifest.sha256).empty()) {
    return invalid("its SHA-256 is not 64 lower-case hex digits");
  }
  if (manifest.chunks.empty() || manifest.chunks.size() > kMaxChunks) {
    return invalid(
        fmt::format("it has {} chunks; 1 to {} are allowed", manifest.chunks.size(), kMaxChunks));
  }
  std::int64_t total = 0;
  for (const ChunkRef& chunk : manifest.chunks) {
    if (parse_sha256(chunk.sha256).empty() || chunk.size < 1 || chunk.size > kMaxChunkBytes) {
      return invalid(fmt::format(
          "chunk '{}' of {} bytes: the hash must be 64 lower-case hex digits, the size 1 to {}",
          chunk.sha256, chunk.size, kMaxChunkBytes));
    }
    total += chunk.size;
  }
  if (total != written.size()) {
    return invalid(fmt::format("its chunks have {} bytes, the file is said to have {}", total,
                               written.size()));
  }
  return absl::OkStatus();
}

std::optional<CheckpointId> find_committed(Connection& connection, const Manifest& manifest) {
  Query query = connection.query(
      "SELECT c.id FROM checkpoints c JOIN jobs j ON j.number = c.job WHERE j.id = ?1"
      " AND c.attempt = ?2 AND c.rank = ?3 AND c.file = ?4 AND c.spool_offset = ?5"
      " AND c.sha256 = ?6");
  query.bind(manifest.attempt.job.str(), manifest.attempt.number, manifest.rank,
             manifest.written.file(), manifest.written.spool_offset(),
             Blob{parse_sha256(manifest.sha256)});
  if (!query.step()) return std::nullopt;
  return CheckpointId(std::string(query.text(0)));
}

absl::StatusOr<JobRow> require_current(Connection& connection, const AttemptId& attempt) {
  const std::optional<JobRow> job = find_job(connection, attempt.job.str());
  if (!job) {
    return absl::FailedPreconditionError(
        fmt::format("the checkpoint is refused: there is no job '{}'", attempt.job.str()));
  }
  if (job->attempt != attempt.number) {
    return absl::FailedPreconditionError(fmt::format(
        "the checkpoint is refused: attempt {} was replaced; the job's current attempt is {}",
        attempt.str(), job->attempt));
  }
  return *job;
}

absl::StatusOr<CheckpointId> insert_checkpoint(Connection& connection, const Manifest& manifest,
                                               std::int64_t now_us) {
  if (std::optional<CheckpointId> id = find_committed(connection, manifest)) return *id;
  LCTL_ASSIGN_OR_RETURN(const JobRow job, require_current(connection, manifest.attempt));
  const v1::CheckpointWritten& written = manifest.written;
  const CheckpointId id(random_id(12));
  std::int64_t number = 0;
  {
    Query query = connection.query(
        "INSERT INTO checkpoints (id, job, attempt, rank, kind, name, file, spool_offset, size,"
        " sha256, time_us, stored_bytes, written, removed, dropped_us)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, NULL)"
        " RETURNING number");
    query.bind(id.str(), job.number, manifest.attempt.number, manifest.rank, written.kind(),
               written.name(), written.file(), written.spool_offset(), written.size(),
               Blob{parse_sha256(manifest.sha256)}, manifest.time_us,
               new_bytes(connection, manifest), Blob{written.SerializeAsString()},
               was_removed(connection, job, manifest));
    query.step();
    number = query.integer(0);
    query.run();
  }
  insert_chunks(connection, number, manifest);
  LCTL_RETURN_IF_ERROR(apply_retention(connection, job, now_us));
  return id;
}

}  // namespace lctl::storage
