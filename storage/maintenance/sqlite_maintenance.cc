#include "storage/maintenance/sqlite_maintenance.h"

#include <fmt/format.h>

#include <memory>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "storage/backup/backup_writing.h"
#include "storage/maintenance/check.h"

namespace lctl::storage {
namespace {

namespace fs = std::filesystem;

absl::Status rewrite(Connection& connection) {
  // The second copy would otherwise be made in memory, as other temporary tables are.
  connection.execute("PRAGMA temp_store = FILE");
  const absl::Cleanup back = [&] { connection.execute("PRAGMA temp_store = MEMORY"); };
  connection.execute("VACUUM");
  // The new database lies in the write-ahead log; only now do the files get smaller. Readers that
  // are still busy with the old one are waited for, as long as for a lock; what they keep from
  // being moved is moved by a later checkpoint.
  Query query = connection.query("PRAGMA wal_checkpoint(TRUNCATE)");
  query.step();
  return absl::OkStatus();
}

}  // namespace

// The right to be the one piece of maintenance that runs.
class SqliteMaintenance::Turn {
 public:
  explicit Turn(SqliteMaintenance& owner) : owner_(&owner) {}
  Turn(Turn&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
  Turn& operator=(Turn&&) = delete;
  ~Turn() {
    if (owner_ == nullptr) return;
    const std::lock_guard lock(owner_->mutex_);
    owner_->running_ = nullptr;
  }

 private:
  SqliteMaintenance* owner_;
};

absl::StatusOr<SqliteMaintenance::Turn> SqliteMaintenance::begin(const char* what) {
  const std::lock_guard lock(mutex_);
  if (running_ != nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("{} is running; try again when it has ended", running_));
  }
  running_ = what;
  return Turn(*this);
}

std::int64_t SqliteMaintenance::file_bytes() const {
  std::int64_t bytes = 0;
  for (const char* name : {"lctl.db", "lctl.db-wal"}) {
    std::error_code error;
    const auto size = fs::file_size(dir_ / name, error);
    if (!error) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

absl::StatusOr<CheckReport> SqliteMaintenance::check(bool deep, ProgressSink progress) {
  LCTL_ASSIGN_OR_RETURN(const Turn turn, begin("a check of the store"));
  CheckReport report;
  LCTL_RETURN_IF_ERROR(check_store(database_, chunks_, deep, progress, report));
  return report;
}

absl::StatusOr<std::int64_t> SqliteMaintenance::used_bytes() const {
  return database_.read([](Connection& connection) -> absl::StatusOr<std::int64_t> {
    Query query = connection.query(
        "SELECT (SELECT page_count FROM pragma_page_count),"
        " (SELECT freelist_count FROM pragma_freelist_count),"
        " (SELECT page_size FROM pragma_page_size),"
        " (SELECT coalesce(sum(size), 0) FROM (SELECT max(size) AS size FROM used_chunks"
        "  GROUP BY sha256))");
    query.step();
    return (query.integer(0) - query.integer(1)) * query.integer(2) + query.integer(3);
  });
}

absl::StatusOr<VacuumReport> SqliteMaintenance::vacuum() {
  LCTL_ASSIGN_OR_RETURN(const Turn turn, begin("a vacuum of the database"));
  VacuumReport report{.bytes_before = file_bytes()};
  std::error_code error;
  const fs::space_info space = fs::space(dir_, error);
  if (!error && space.available < static_cast<std::uintmax_t>(report.bytes_before)) {
    return absl::ResourceExhaustedError(
        fmt::format("the database has {} bytes and {} are free: a vacuum needs room for a second "
                    "copy; free space on the store's disk (`lctl admin gc`) first",
                    report.bytes_before, space.available));
  }
  LCTL_RETURN_IF_ERROR(
      with_context(database_.write_alone(rewrite),
                   "rewriting the database (it needs room for a copy also in the folder for "
                   "temporary files: SQLITE_TMPDIR, TMPDIR, else /var/tmp)"));
  report.bytes_after = file_bytes();
  return report;
}

absl::StatusOr<BackupReport> SqliteMaintenance::back_up(const BackupRequest& request,
                                                        ProgressSink progress) {
  LCTL_ASSIGN_OR_RETURN(const Turn turn, begin("a backup"));
  return write_backup({.dir = dir_, .chunks = chunks_, .clock = clock_}, request, progress);
}

}  // namespace lctl::storage
