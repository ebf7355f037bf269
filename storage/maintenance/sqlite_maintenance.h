// Maintenance over SQLite and a ChunkFolder.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "storage/blobs/chunk_folder.h"
#include "storage/maintenance/maintenance.h"
#include "storage/sqlite/database.h"

namespace lctl::storage {

// Database, chunks and clock must outlive it; `dir` is the store's folder. Thread rule: internally
// locked.
class SqliteMaintenance final : public Maintenance {
 public:
  SqliteMaintenance(std::filesystem::path dir, Database& database, ChunkFolder& chunks,
                    const Clock& clock)
      : dir_(std::move(dir)), database_(database), chunks_(chunks), clock_(clock) {}

  absl::StatusOr<CheckReport> check(bool deep, ProgressSink progress) override;
  absl::StatusOr<std::int64_t> used_bytes() const override;
  absl::StatusOr<VacuumReport> vacuum() override;
  absl::StatusOr<BackupReport> back_up(const BackupRequest& request,
                                       ProgressSink progress) override;

 private:
  class Turn;
  absl::StatusOr<Turn> begin(const char* what);
  std::int64_t file_bytes() const;

  const std::filesystem::path dir_;
  Database& database_;
  ChunkFolder& chunks_;
  const Clock& clock_;

  std::mutex mutex_;
  const char* running_ = nullptr;  // guarded by mutex_; null = nothing
};

}  // namespace lctl::storage
