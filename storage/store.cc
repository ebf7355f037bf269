#include "storage/store.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <system_error>
#include <utility>

#include "storage/backup/restore.h"
#include "storage/blobs/chunk_folder.h"
#include "storage/blobs/sqlite_checkpoint_store.h"
#include "storage/folder_lock.h"
#include "storage/jobs/sqlite_job_store.h"
#include "storage/maintenance/sqlite_maintenance.h"
#include "storage/metrics/sqlite_event_store.h"
#include "storage/metrics/sqlite_metric_store.h"
#include "storage/schema/migrations.h"
#include "storage/sqlite/database.h"
#include "storage/tracking/sqlite_artifact_store.h"
#include "storage/tracking/sqlite_model_store.h"
#include "storage/tracking/sqlite_tracking_store.h"

namespace lctl::storage {
namespace {

// 0 when there is no such file.
std::int64_t size_of(const std::filesystem::path& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

class SqliteStore final : public Store {
 public:
  SqliteStore(std::filesystem::path dir, FolderLock lock, std::unique_ptr<Database> database,
              std::unique_ptr<ChunkFolder> chunks, const Store::Options& options)
      : dir_(std::move(dir)),
        reserve_bytes_(options.space.reserve_bytes),
        lock_(std::move(lock)),
        database_(std::move(database)),
        chunks_(std::move(chunks)),
        jobs_(*database_, options.clock),
        events_(*database_, options.clock, options.max_metric_keys),
        metrics_(*database_),
        checkpoints_(*database_, *chunks_, options.clock, options.checkpoint_quotas),
        tracking_(*database_, options.clock),
        artifacts_(*database_, *chunks_, options.clock),
        models_(*database_, options.clock),
        maintenance_(dir_, *database_, *chunks_, options.clock) {}

  JobStore& jobs() override { return jobs_; }
  EventStore& events() override { return events_; }
  MetricStore& metrics() override { return metrics_; }
  CheckpointStore& checkpoints() override { return checkpoints_; }
  TrackingStore& tracking() override { return tracking_; }
  ArtifactStore& artifacts() override { return artifacts_; }
  ModelStore& models() override { return models_; }
  Maintenance& maintenance() override { return maintenance_; }

  StoreStatistics statistics() const override {
    const Writer::Counts writes = database_->counts();
    StoreStatistics all{.database_bytes = size_of(dir_ / "lctl.db"),
                        .write_ahead_bytes = size_of(dir_ / "lctl.db-wal"),
                        .commits = writes.commits,
                        .changes = writes.changes,
                        .failed_changes = writes.failed_changes,
                        .chunk_bytes_written = chunks_->bytes_written(),
                        .reserve_bytes = reserve_bytes_,
                        .refused_chunks = chunks_->refused()};
    struct statvfs disk = {};
    if (statvfs(dir_.c_str(), &disk) == 0) {
      all.disk_bytes = static_cast<std::int64_t>(disk.f_blocks * disk.f_frsize);
      all.disk_free_bytes = static_cast<std::int64_t>(disk.f_bavail * disk.f_frsize);
    }
    return all;
  }

 private:
  const std::filesystem::path dir_;
  const std::int64_t reserve_bytes_;
  // In this order: the lock is released when all else is closed.
  FolderLock lock_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<ChunkFolder> chunks_;
  SqliteJobStore jobs_;
  SqliteEventStore events_;
  SqliteMetricStore metrics_;
  SqliteCheckpointStore checkpoints_;
  SqliteTrackingStore tracking_;
  SqliteArtifactStore artifacts_;
  SqliteModelStore models_;
  SqliteMaintenance maintenance_;
};

}  // namespace

absl::Status Store::check_integrity() {
  LCTL_ASSIGN_OR_RETURN(
      const CheckReport report,
      maintenance().check(/*deep=*/false, [](const WorkProgress&) { return true; }));
  if (report.findings.empty()) return absl::OkStatus();
  return absl::DataLossError(
      fmt::format("{}; restore the store from a backup", report.findings.front()));
}

absl::StatusOr<std::unique_ptr<Store>> Store::open(Options options) {
  std::error_code error;
  std::filesystem::create_directories(options.dir, error);
  if (error) {
    return errno_status(error.value(),
                        fmt::format("making the data folder {}", options.dir.string()));
  }
  LCTL_ASSIGN_OR_RETURN(FolderLock lock, FolderLock::take(options.dir));
  LCTL_RETURN_IF_ERROR(check_restored(options.dir));
  const std::filesystem::path file = options.dir / "lctl.db";
  LCTL_RETURN_IF_ERROR(migrate(file, options.clock));
  LCTL_ASSIGN_OR_RETURN(
      std::unique_ptr<Database> database,
      Database::open({.file = file, .limits = {.max_database_bytes = options.max_database_bytes}}));
  LCTL_ASSIGN_OR_RETURN(std::unique_ptr<ChunkFolder> chunks,
                        ChunkFolder::open(options.dir / "blobs", options.clock, options.space));
  return std::make_unique<SqliteStore>(options.dir, std::move(lock), std::move(database),
                                       std::move(chunks), options);
}

}  // namespace lctl::storage
