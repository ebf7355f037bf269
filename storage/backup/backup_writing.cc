#include "storage/backup/backup_writing.h"

#include <fmt/format.h>

#include <limits>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/version.h"
#include "storage/backup/backup_folder.h"
#include "storage/folder_lock.h"
#include "storage/maintenance/check.h"
#include "storage/schema/migrations.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/error.h"
#include "storage/sqlite/online_copy.h"

namespace lctl::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMissingTold = 10;
constexpr int kMaxKept = 1'000;

absl::Status check_request(const BackupSource& source, const BackupRequest& request) {
  const auto invalid = [&](std::string_view what) {
    return absl::InvalidArgumentError(
        fmt::format("the backup folder '{}' {}", request.dir.string(), what));
  };
  if (!request.dir.is_absolute()) {
    return invalid("must be an absolute path: it is a folder on the server's host");
  }
  if (request.keep < 0 || request.keep > kMaxKept) {
    return absl::InvalidArgumentError(
        fmt::format("keep is {}; 0 (all) to {} are allowed", request.keep, kMaxKept));
  }
  std::error_code error;
  const fs::path dir = fs::weakly_canonical(request.dir, error);
  if (error) return errno_status(error.value(), fmt::format("looking at {}", request.dir.string()));
  const fs::path own = fs::weakly_canonical(source.dir, error);
  const fs::path from_own = dir.lexically_relative(own);
  if (!from_own.empty() && *from_own.begin() != "..") {
    return invalid(
        "lies in the store's own data folder; choose one elsewhere, best on another disk");
  }
  return absl::OkStatus();
}

absl::Status damaged(const CheckReport& report) {
  return absl::DataLossError(fmt::format(
      "the database is damaged, no backup was made of it: {}; see `lctl admin check`, and restore "
      "an earlier backup",
      report.findings.front()));
}

void count_rows(Connection& copy, BackupReport& report) {
  Query query = copy.query(
      "SELECT (SELECT count(*) FROM jobs),"
      " (SELECT count(*) FROM checkpoints WHERE dropped_us IS NULL),"
      " (SELECT count(DISTINCT sha256) FROM used_chunks)");
  query.step();
  report.jobs = query.integer(0);
  report.checkpoints = query.integer(1);
  report.chunks = query.integer(2);
}

// Step 3: every chunk that the copy names.
absl::Status take_chunks(Connection& copy, const ChunkFolder& from, ChunkFolder& to,
                         ProgressSink progress, BackupReport& report) {
  Query query = copy.query(
      "SELECT sha256, size, min(user) FROM (SELECT m.sha256, m.size,"
      " 'checkpoint ' || c.id || ' (' || c.name || ')' AS user FROM manifest_chunks m"
      " JOIN checkpoints c ON c.number = m.checkpoint UNION ALL SELECT p.sha256, p.size,"
      " 'artifact ' || a.path FROM artifact_chunks p JOIN artifacts a ON a.number = p.artifact)"
      " GROUP BY sha256");
  std::int64_t done = 0;
  while (query.step()) {
    const std::string sha256(query.blob(0));
    const std::int64_t size = query.integer(1);
    const absl::StatusOr<ChunkFolder::Taken> taken = to.take_from(from, sha256, size);
    if (absl::IsDataLoss(taken.status())) {
      ++report.missing_chunks;
      if (report.missing.size() < kMissingTold) {
        report.missing.push_back(fmt::format("{}: {}", query.text(2), message_of(taken.status())));
      }
    } else {
      LCTL_RETURN_IF_ERROR(taken.status());
      report.chunk_bytes += size;
      report.linked_chunks += *taken == ChunkFolder::Taken::kLinked ? 1 : 0;
      report.copied_chunks += *taken == ChunkFolder::Taken::kCopied ? 1 : 0;
      report.copied_bytes += *taken == ChunkFolder::Taken::kCopied ? size : 0;
    }
    if (!progress({"chunks", ++done, report.chunks})) return work_was_ended();
  }
  return to.sync();
}

// Everything up to the moment at which it is whole.
absl::Status fill(const BackupSource& source, const fs::path& folder, ChunkFolder& chunks,
                  ProgressSink progress, BackupReport& report) {
  const ChunkFolder::Hold hold(source.chunks);
  const std::int64_t time_us = unix_micros(source.clock.wall_now());
  const fs::path database = folder / kBackupDatabase;
  LCTL_RETURN_IF_ERROR(copy_database(source.dir / kBackupDatabase, database,
                                     [&](std::int64_t done, std::int64_t total) {
                                       return progress({"database pages", done, total});
                                     }));
  try {
    Connection copy(database, Connection::Mode::kRead, {});
    CheckReport pages;
    check_pages(copy, pages);
    if (!pages.findings.empty()) return damaged(pages);
    count_rows(copy, report);
    LCTL_RETURN_IF_ERROR(take_chunks(copy, source.chunks, chunks, progress, report));
  } catch (const SQLite::Exception& error) {
    return status_of(error, database.string());
  }
  std::error_code error;
  report.database_bytes = static_cast<std::int64_t>(fs::file_size(database, error));
  if (error) return errno_status(error.value(), fmt::format("looking at {}", database.string()));
  LCTL_ASSIGN_OR_RETURN(std::string hash, hash_file(database));
  return complete(folder, {.program_version = kVersion,
                           .time_us = time_us,
                           .schema = migrations().back().number,
                           .database_bytes = report.database_bytes,
                           .database_sha256 = std::move(hash),
                           .jobs = report.jobs,
                           .checkpoints = report.checkpoints,
                           .chunks = report.chunks,
                           .chunk_bytes = report.chunk_bytes,
                           .missing_chunks = report.missing_chunks});
}

// Deletes chunks that none of the backups names.
absl::Status remove_unused_chunks(const fs::path& dir, const std::vector<std::string>& backups,
                                  ChunkFolder& chunks, ProgressSink progress) {
  std::vector<std::unique_ptr<Connection>> copies;
  for (const std::string& name : backups) {
    copies.push_back(std::make_unique<Connection>(dir / name / kBackupDatabase,
                                                  Connection::Mode::kRead, Connection::Limits{}));
  }
  const WallTime always = from_unix_micros(std::numeric_limits<std::int64_t>::max());
  std::int64_t seen = 0;
  return chunks.for_each([&](const std::string& sha256, std::int64_t) -> absl::Status {
    if (!progress({"old chunks", ++seen, 0})) return work_was_ended();
    for (const std::unique_ptr<Connection>& copy : copies) {
      Query query = copy->query("SELECT 1 FROM used_chunks WHERE sha256 = ?1 LIMIT 1");
      query.bind(Blob{sha256});
      if (query.step()) return absl::OkStatus();
    }
    return chunks.remove_if_older(sha256, always).status();
  });
}

absl::Status remove_old(const BackupRequest& request, ChunkFolder& chunks, ProgressSink progress,
                        BackupReport& report) {
  if (request.keep == 0) return absl::OkStatus();
  LCTL_ASSIGN_OR_RETURN(std::vector<std::string> backups, list_backups(request.dir));
  const auto kept = static_cast<std::size_t>(request.keep);
  if (backups.size() <= kept) return absl::OkStatus();
  const auto first_kept = backups.end() - request.keep;
  for (auto name = backups.begin(); name != first_kept; ++name) {
    LCTL_RETURN_IF_ERROR(remove_backup(request.dir, *name));
    report.removed.push_back(*name);
  }
  backups.erase(backups.begin(), first_kept);
  try {
    return remove_unused_chunks(request.dir, backups, chunks, progress);
  } catch (const SQLite::Exception& error) {
    return status_of(error, request.dir.string());
  }
}

}  // namespace

absl::StatusOr<BackupReport> write_backup(const BackupSource& source, const BackupRequest& request,
                                          ProgressSink progress) {
  LCTL_RETURN_IF_ERROR(check_request(source, request));
  std::error_code error;
  fs::create_directories(request.dir, error);
  if (error) {
    return errno_status(error.value(),
                        fmt::format("making the backup folder {}", request.dir.string()));
  }
  LCTL_ASSIGN_OR_RETURN(const FolderLock lock, FolderLock::take(request.dir));
  LCTL_RETURN_IF_ERROR(remove_incomplete(request.dir));
  LCTL_ASSIGN_OR_RETURN(const std::unique_ptr<ChunkFolder> chunks,
                        ChunkFolder::open(request.dir / kBackupChunks, source.clock));
  const std::string name = new_backup_name(request.dir, source.clock.wall_now());
  BackupReport report{.folder = request.dir / name};
  LCTL_ASSIGN_OR_RETURN(const fs::path folder, make_incomplete(request.dir, name));
  if (const absl::Status filled = fill(source, folder, *chunks, progress, report); !filled.ok()) {
    // What cannot be deleted now, the next backup deletes.
    static_cast<void>(remove_incomplete(request.dir));
    return filled;
  }
  LCTL_RETURN_IF_ERROR(with_context(
      remove_old(request, *chunks, progress, report),
      fmt::format("the backup {} is whole; removing older ones", report.folder.string())));
  return report;
}

}  // namespace lctl::storage
