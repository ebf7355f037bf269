#include "storage/backup/restore.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/descriptor.h"
#include "storage/backup/backup_folder.h"
#include "storage/blobs/chunk_folder.h"
#include "storage/folder_lock.h"
#include "storage/maintenance/check.h"
#include "storage/schema/migrations.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/error.h"

namespace lctl::storage {
namespace {

namespace fs = std::filesystem;

constexpr char kRestoring[] = "restoring";
constexpr char kLockFile[] = "lctl.lock";

absl::Status damaged(const fs::path& backup, std::string_view what) {
  return absl::DataLossError(
      fmt::format("the backup {} is damaged: {}; nothing was restored, take another backup",
                  backup.string(), what));
}

// The backup itself, or the newest one in a folder of them.
absl::StatusOr<fs::path> find_backup(const fs::path& given) {
  std::error_code error;
  if (!fs::is_directory(given, error)) {
    return absl::NotFoundError(fmt::format("there is no folder {}", given.string()));
  }
  // Without its slash at the end, so that its parent is the folder of backups.
  fs::path folder = fs::absolute(given, error).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  if (fs::exists(folder / kBackupManifest, error)) return folder;
  LCTL_ASSIGN_OR_RETURN(const std::vector<std::string> backups, list_backups(folder));
  if (backups.empty()) {
    return absl::NotFoundError(
        fmt::format("{} holds no whole backup: neither {} nor folders like 20260131T140509Z that "
                    "have one",
                    folder.string(), kBackupManifest));
  }
  return folder / backups.back();
}

// Its own lock file does not make a folder one that is in use.
absl::Status require_empty(const fs::path& dir) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir, error)) {
    if (entry.path().filename() == kLockFile) continue;
    return absl::FailedPreconditionError(
        fmt::format("the data folder {} is not empty ({} is in it): a store is restored into a new "
                    "folder only; choose another, or move that one away",
                    dir.string(), entry.path().filename().string()));
  }
  if (error) return errno_status(error.value(), fmt::format("listing {}", dir.string()));
  return absl::OkStatus();
}

absl::Status check_database(Connection& database, const fs::path& backup) {
  CheckReport pages;
  check_pages(database, pages);
  if (!pages.findings.empty()) return damaged(backup, pages.findings.front());
  Query query = database.query("SELECT coalesce(max(version), 0) FROM schema_version");
  query.step();
  const int known = migrations().back().number;
  if (query.integer(0) > known) {
    return absl::FailedPreconditionError(
        fmt::format("{}: has schema version {}, this program knows versions up to {}: it was made "
                    "by a newer lctl; restore it with that version",
                    backup.string(), query.integer(0), known));
  }
  return absl::OkStatus();
}

// Calls `visit` with hash and size of each chunk that the database names.
template <typename Visit>
absl::Status for_each_chunk(Connection& database, Visit visit) {
  Query query = database.query("SELECT DISTINCT sha256, size FROM used_chunks");
  while (query.step()) {
    LCTL_RETURN_IF_ERROR(visit(std::string(query.blob(0)), query.integer(1)));
  }
  return absl::OkStatus();
}

absl::Status check_chunks(Connection& database, const ChunkFolder& chunks,
                          const RestoreRequest& request, const RestoreReport& report,
                          ProgressSink progress) {
  std::int64_t done = 0;
  std::int64_t missing = 0;
  LCTL_RETURN_IF_ERROR(
      for_each_chunk(database, [&](const std::string& sha256, std::int64_t size) -> absl::Status {
        if (!progress({"checking chunks", ++done, report.manifest.chunks})) {
          return work_was_ended();
        }
        LCTL_ASSIGN_OR_RETURN(const std::optional<std::int64_t> present, chunks.size(sha256));
        // A backup says how many its store had lost: so many may be missing, and not one more.
        if (!present && ++missing <= report.manifest.missing_chunks) return absl::OkStatus();
        if (present != size) {
          return damaged(report.backup,
                         fmt::format("chunk file {} is missing or does not have its {} bytes",
                                     chunks.path_of(sha256).string(), size));
        }
        if (!request.check_hashes) return absl::OkStatus();
        const absl::Status read = chunks.read(sha256, size).status();
        return absl::IsDataLoss(read) ? damaged(report.backup, message_of(read)) : read;
      }));
  if (done != report.manifest.chunks) {
    return damaged(report.backup, fmt::format("its database names {} chunks, its manifest {}", done,
                                              report.manifest.chunks));
  }
  return absl::OkStatus();
}

absl::Status check_hash(const RestoreReport& report) {
  LCTL_ASSIGN_OR_RETURN(const std::string hash, hash_file(report.backup / kBackupDatabase));
  if (hash == report.manifest.database_sha256) return absl::OkStatus();
  return damaged(report.backup, fmt::format("{} does not have the SHA-256 that {} says",
                                            kBackupDatabase, kBackupManifest));
}

absl::Status take_chunks(Connection& database, const ChunkFolder& from, ChunkFolder& to,
                         RestoreReport& report, ProgressSink progress) {
  std::int64_t done = 0;
  LCTL_RETURN_IF_ERROR(
      for_each_chunk(database, [&](const std::string& sha256, std::int64_t size) -> absl::Status {
        if (!progress({"chunks", ++done, report.manifest.chunks})) return work_was_ended();
        LCTL_ASSIGN_OR_RETURN(const std::optional<std::int64_t> present, from.size(sha256));
        if (!present) return absl::OkStatus();  // check_chunks() has allowed it
        const absl::StatusOr<ChunkFolder::Taken> taken = to.take_from(from, sha256, size);
        if (absl::IsDataLoss(taken.status())) {
          return damaged(report.backup, message_of(taken.status()));
        }
        LCTL_RETURN_IF_ERROR(taken.status());
        ++(*taken == ChunkFolder::Taken::kLinked ? report.linked_chunks : report.copied_chunks);
        return absl::OkStatus();
      }));
  return to.sync();
}

absl::Status copy_synced(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::copy_file(from, to, error);
  if (error) return errno_status(error.value(), fmt::format("copying to {}", to.string()));
  const Descriptor copy(::open(to.c_str(), O_RDONLY | O_CLOEXEC));
  if (!copy.valid() || fsync(copy.get()) != 0) {
    return errno_status(errno, fmt::format("syncing {}", to.string()));
  }
  return absl::OkStatus();
}

absl::Status move_into_place(const fs::path& data_dir) {
  const fs::path restoring = data_dir / kRestoring;
  // The database last: a folder that has one has all.
  for (const char* name : {kBackupChunks, kBackupDatabase}) {
    if (rename((restoring / name).c_str(), (data_dir / name).c_str()) != 0) {
      return errno_status(errno, fmt::format("renaming {} into {}", name, data_dir.string()));
    }
  }
  if (rmdir(restoring.c_str()) != 0) {
    return errno_status(errno, fmt::format("deleting {}", restoring.string()));
  }
  const Descriptor folder(::open(data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || fsync(folder.get()) != 0) {
    return errno_status(errno, fmt::format("syncing {}", data_dir.string()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RestoreReport> restore_backup(const RestoreRequest& request, const Clock& clock,
                                             ProgressSink progress) {
  RestoreReport report;
  LCTL_ASSIGN_OR_RETURN(report.backup, find_backup(request.backup));
  LCTL_ASSIGN_OR_RETURN(report.manifest, read_manifest(report.backup));
  std::error_code error;
  fs::create_directories(request.data_dir, error);
  if (error) {
    return errno_status(error.value(),
                        fmt::format("making the data folder {}", request.data_dir.string()));
  }
  LCTL_RETURN_IF_ERROR(require_empty(request.data_dir));
  LCTL_ASSIGN_OR_RETURN(const FolderLock lock, FolderLock::take(request.data_dir));
  const fs::path blobs = report.backup.parent_path() / kBackupChunks;
  LCTL_ASSIGN_OR_RETURN(const std::unique_ptr<const ChunkFolder> from,
                        ChunkFolder::open_existing(blobs, clock));
  LCTL_RETURN_IF_ERROR(check_hash(report));
  const fs::path restoring = request.data_dir / kRestoring;
  try {
    Connection database(report.backup / kBackupDatabase, Connection::Mode::kRead, {});
    LCTL_RETURN_IF_ERROR(check_database(database, report.backup));
    LCTL_RETURN_IF_ERROR(check_chunks(database, *from, request, report, progress));
    fs::create_directory(restoring, error);
    if (error) return errno_status(error.value(), "making the folder " + restoring.string());
    LCTL_ASSIGN_OR_RETURN(const std::unique_ptr<ChunkFolder> to,
                          ChunkFolder::open(restoring / kBackupChunks, clock));
    LCTL_RETURN_IF_ERROR(take_chunks(database, *from, *to, report, progress));
  } catch (const SQLite::Exception& failure) {
    return status_of(failure, (report.backup / kBackupDatabase).string());
  }
  LCTL_RETURN_IF_ERROR(copy_synced(report.backup / kBackupDatabase, restoring / kBackupDatabase));
  LCTL_RETURN_IF_ERROR(move_into_place(request.data_dir));
  return report;
}

absl::Status check_restored(const fs::path& data_dir) {
  std::error_code error;
  if (!fs::exists(data_dir / kRestoring, error)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("a restore into the data folder {} was cut off; empty the folder and restore "
                  "again",
                  data_dir.string()));
}

}  // namespace lctl::storage
