#include "storage/maintenance/check.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/blobs/checkpoint_damage.h"
#include "storage/blobs/sha256.h"
#include "storage/metrics/point_block.h"

namespace lctl::storage {
namespace {

// Chunks and blocks are read so many at a time, each time in a snapshot of its own: one snapshot
// for hours would keep the write-ahead log from being emptied.
constexpr int kRowsPerRead = 512;

std::int64_t count_of(Query query) {
  query.step();
  return query.integer(0);
}

void check_manifests(Connection& connection, CheckReport& report) {
  Query query = connection.query(
      "SELECT c.id, c.name, c.size, (SELECT coalesce(sum(m.size), 0) FROM manifest_chunks m"
      " WHERE m.checkpoint = c.number) AS held FROM checkpoints c"
      " WHERE c.dropped_us IS NULL AND c.size <> held");
  while (query.step()) {
    report.add(fmt::format("checkpoint {} ({}): its chunks have {} bytes, the file has {}",
                           query.text(0), query.text(1), query.integer(3), query.integer(2)));
  }
}

void check_artifacts(Connection& connection, CheckReport& report) {
  Query query = connection.query(
      "SELECT a.path, a.size, (SELECT coalesce(sum(c.size), 0) FROM artifact_chunks c"
      " WHERE c.artifact = a.number) AS held FROM artifacts a WHERE a.size <> held");
  while (query.step()) {
    report.add(fmt::format("artifact {}: its chunks have {} bytes, the file has {}", query.text(0),
                           query.integer(2), query.integer(1)));
  }
}

void check_block_order(Connection& connection, CheckReport& report) {
  Query query = connection.query(
      "SELECT j.id, s.key, b.attempt, b.first_offset FROM (SELECT series, attempt, first_offset,"
      " last_offset, lag(last_offset) OVER (PARTITION BY series, attempt ORDER BY first_offset)"
      " AS previous FROM point_blocks) b JOIN series s ON s.id = b.series"
      " JOIN jobs j ON j.number = s.job WHERE b.previous >= b.first_offset"
      " OR b.first_offset > b.last_offset");
  while (query.step()) {
    report.add(
        fmt::format("job {}, metric '{}', attempt {}: the points at spool offset {} stand "
                    "in two blocks",
                    query.text(0), query.text(1), query.integer(2), query.integer(3)));
  }
}

void count_rows(Connection& connection, CheckReport& report) {
  report.jobs = count_of(connection.query("SELECT count(*) FROM jobs"));
  report.point_blocks = count_of(connection.query("SELECT count(*) FROM point_blocks"));
  report.checkpoints =
      count_of(connection.query("SELECT count(*) FROM checkpoints WHERE dropped_us IS NULL"));
}

struct BlockRow {
  std::int64_t row = 0;
  std::string job;
  std::string key;
  std::int64_t points = 0;
  std::string data;
};

absl::StatusOr<std::vector<BlockRow>> blocks_after(const Database& database, std::int64_t row) {
  return database.read([&](Connection& connection) -> absl::StatusOr<std::vector<BlockRow>> {
    Query query = connection.query(
        "SELECT b.rowid, j.id, s.key, b.points, b.data FROM point_blocks b"
        " JOIN series s ON s.id = b.series JOIN jobs j ON j.number = s.job"
        " WHERE b.rowid > ?1 ORDER BY b.rowid LIMIT ?2");
    query.bind(row, kRowsPerRead);
    std::vector<BlockRow> rows;
    while (query.step()) {
      rows.push_back({.row = query.integer(0),
                      .job = std::string(query.text(1)),
                      .key = std::string(query.text(2)),
                      .points = query.integer(3),
                      .data = std::string(query.blob(4))});
    }
    return rows;
  });
}

absl::Status check_block_contents(const Database& database, ProgressSink progress,
                                  CheckReport& report) {
  std::int64_t done = 0;
  std::int64_t after = 0;
  while (true) {
    LCTL_ASSIGN_OR_RETURN(const std::vector<BlockRow> rows, blocks_after(database, after));
    if (rows.empty()) return absl::OkStatus();
    for (const BlockRow& row : rows) {
      const auto points = unpack(row.data, row.points);
      if (points.ok()) continue;
      report.add(fmt::format("job {}, metric '{}': a block of {} points cannot be read: {}",
                             row.job, row.key, row.points, message_of(points.status())));
    }
    after = rows.back().row;
    done += static_cast<std::int64_t>(rows.size());
    if (!progress({"points", done, report.point_blocks})) return work_was_ended();
  }
}

struct ChunkRow {
  std::string sha256;
  std::int64_t size = 0;
};

absl::StatusOr<std::vector<ChunkRow>> chunks_after(const Database& database,
                                                   std::string_view sha256) {
  return database.read([&](Connection& connection) -> absl::StatusOr<std::vector<ChunkRow>> {
    Query query = connection.query(
        "SELECT sha256, size FROM manifest_chunks WHERE sha256 > ?1"
        " UNION SELECT sha256, size FROM artifact_chunks WHERE sha256 > ?1"
        " ORDER BY sha256 LIMIT ?2");
    query.bind(Blob{sha256}, kRowsPerRead);
    std::vector<ChunkRow> rows;
    while (query.step()) rows.push_back({std::string(query.blob(0)), query.integer(1)});
    return rows;
  });
}

// "checkpoint … (…) and 2 more"; "" when nobody names the chunk (any more).
absl::StatusOr<std::string> who_names(const Database& database, std::string_view sha256) {
  return database.read([&](Connection& connection) -> absl::StatusOr<std::string> {
    Query query = connection.query(
        "SELECT min(user), count(*) FROM (SELECT 'checkpoint ' || c.id || ' (' || c.name || ')'"
        " AS user FROM manifest_chunks m JOIN checkpoints c ON c.number = m.checkpoint"
        " WHERE m.sha256 = ?1 UNION ALL SELECT 'artifact ' || a.path FROM artifact_chunks p"
        " JOIN artifacts a ON a.number = p.artifact WHERE p.sha256 = ?1)");
    query.bind(Blob{sha256});
    query.step();
    if (query.is_null(0)) return std::string();
    std::string text(query.text(0));
    if (query.integer(1) > 1) text += fmt::format(" and {} more places", query.integer(1) - 1);
    return text;
  });
}

// What is wrong with a chunk; "" when nothing is.
absl::StatusOr<std::string> fault_of(Database& database, ChunkFolder& chunks, const ChunkRow& chunk,
                                     bool deep) {
  if (deep) return mark_if_damaged(database, chunks, chunk.sha256, chunk.size);
  LCTL_ASSIGN_OR_RETURN(const std::optional<std::int64_t> size, chunks.size(chunk.sha256));
  const std::string file = chunks.path_of(chunk.sha256).string();
  if (!size) return fmt::format("chunk file {} is missing", file);
  if (*size != chunk.size) {
    return fmt::format("chunk file {} has {} bytes instead of {}", file, *size, chunk.size);
  }
  return std::string();
}

// Checkpoints that were found damaged, and whose chunks may have been stored anew since.
absl::Status check_marks(Database& database, ChunkFolder& chunks) {
  LCTL_ASSIGN_OR_RETURN(
      const std::vector<CheckpointId> marked,
      database.read([](Connection& connection) -> absl::StatusOr<std::vector<CheckpointId>> {
        Query query = connection.query(
            "SELECT id FROM checkpoints WHERE damage <> '' AND dropped_us IS NULL");
        std::vector<CheckpointId> ids;
        while (query.step()) ids.emplace_back(std::string(query.text(0)));
        return ids;
      }));
  for (const CheckpointId& id : marked) {
    const absl::Status status = verify_checkpoint(database, chunks, id).status();
    if (!absl::IsNotFound(status)) LCTL_RETURN_IF_ERROR(status);  // dropped meanwhile
  }
  return absl::OkStatus();
}

absl::Status check_chunks(Database& database, ChunkFolder& chunks, bool deep, ProgressSink progress,
                          CheckReport& report) {
  LCTL_ASSIGN_OR_RETURN(const std::int64_t total, database.read([](Connection& connection) {
    return absl::StatusOr<std::int64_t>(
        count_of(connection.query("SELECT count(DISTINCT sha256) FROM used_chunks")));
  }));
  std::string after;
  while (true) {
    LCTL_ASSIGN_OR_RETURN(const std::vector<ChunkRow> rows, chunks_after(database, after));
    if (rows.empty()) return absl::OkStatus();
    for (const ChunkRow& chunk : rows) {
      ++report.chunks;
      report.chunk_bytes += chunk.size;
      LCTL_ASSIGN_OR_RETURN(const std::string fault, fault_of(database, chunks, chunk, deep));
      if (!fault.empty()) {
        // Meanwhile retention may have dropped it, and garbage collection taken it.
        LCTL_ASSIGN_OR_RETURN(const std::string users, who_names(database, chunk.sha256));
        if (!users.empty()) report.add(fmt::format("{}: {}", users, fault));
      }
      if (deep && !progress({"chunks", report.chunks, total})) return work_was_ended();
    }
    after = rows.back().sha256;
    if (!progress({"chunks", report.chunks, total})) return work_was_ended();
  }
}

absl::Status count_unused(const Database& database, const ChunkFolder& chunks,
                          ProgressSink progress, CheckReport& report) {
  std::int64_t seen = 0;
  LCTL_RETURN_IF_ERROR(
      chunks.for_each([&](const std::string& sha256, std::int64_t size) -> absl::Status {
        if (++seen % kRowsPerRead == 0 && !progress({"unused chunks", seen, 0})) {
          return work_was_ended();
        }
        LCTL_ASSIGN_OR_RETURN(
            const bool used, database.read([&](Connection& connection) -> absl::StatusOr<bool> {
              Query query = connection.query("SELECT 1 FROM used_chunks WHERE sha256 = ?1 LIMIT 1");
              query.bind(Blob{sha256});
              return query.step();
            }));
        if (!used) {
          ++report.unused_chunks;
          report.unused_bytes += size;
        }
        return absl::OkStatus();
      }));
  LCTL_ASSIGN_OR_RETURN(report.damaged_files, chunks.count_damaged());
  return absl::OkStatus();
}

}  // namespace

void check_pages(Connection& connection, CheckReport& report) {
  {
    Query pages = connection.query("PRAGMA integrity_check(100)");
    while (pages.step()) {
      if (pages.text(0) != "ok") report.add(fmt::format("database: {}", pages.text(0)));
    }
  }
  Query references = connection.query("PRAGMA foreign_key_check");
  while (references.step()) {
    report.add(fmt::format("database: row {} of {} refers to a row of {} that is missing",
                           references.integer(1), references.text(0), references.text(2)));
  }
}

absl::Status check_store(Database& database, ChunkFolder& chunks, bool deep, ProgressSink progress,
                         CheckReport& report) {
  if (!progress({"database", 0, 0})) return work_was_ended();
  const absl::Status pages = database.read([&](Connection& connection) -> absl::Status {
    check_pages(connection, report);
    return absl::OkStatus();
  });
  if (absl::IsDataLoss(pages)) {
    report.add(std::string(message_of(pages)));  // damaged so that SQLite's check gives up
  } else {
    LCTL_RETURN_IF_ERROR(pages);
  }
  // Queries over damaged pages would fail one after the other.
  if (!report.findings.empty()) return absl::OkStatus();
  LCTL_RETURN_IF_ERROR(database.read([&](Connection& connection) -> absl::Status {
    count_rows(connection, report);
    check_manifests(connection, report);
    check_artifacts(connection, report);
    check_block_order(connection, report);
    return absl::OkStatus();
  }));
  if (deep) LCTL_RETURN_IF_ERROR(check_block_contents(database, progress, report));
  LCTL_RETURN_IF_ERROR(check_chunks(database, chunks, deep, progress, report));
  if (deep) LCTL_RETURN_IF_ERROR(check_marks(database, chunks));
  return count_unused(database, chunks, progress, report);
}

}  // namespace lctl::storage
