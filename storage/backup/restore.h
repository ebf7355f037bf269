// A store from a backup.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "storage/backup/backup_manifest.h"
#include "storage/maintenance/progress.h"

namespace lctl::storage {

struct RestoreRequest {
  std::filesystem::path backup;    // one backup, or a folder of them: its newest
  std::filesystem::path data_dir;  // absent or empty
  bool check_hashes = true;        // of every chunk: reads them all
};

struct RestoreReport {
  std::filesystem::path backup;  // that was taken
  BackupManifest manifest;
  std::int64_t linked_chunks = 0;  // shared with the backup by hard links
  std::int64_t copied_chunks = 0;
};

// Verifies the backup (manifest, hash and pages of the database, a schema that this program knows,
// every chunk), and then builds the store in `data_dir`/restoring, from where it is renamed into
// place: chunks first, the database last. Store::open() refuses a folder in which that was cut off.
// A store of an older schema is migrated when it is opened. The backup is not changed.
//
// Errors: NotFound (no whole backup), FailedPrecondition (the folder is not empty; made by a newer
// lctl), DataLoss (the backup is damaged: what is wrong, and where), Cancelled, errors of the disk.
absl::StatusOr<RestoreReport> restore_backup(const RestoreRequest& request, const Clock& clock,
                                             ProgressSink progress);

// FailedPrecondition when a restore into this data folder was cut off.
absl::Status check_restored(const std::filesystem::path& data_dir);

}  // namespace lctl::storage
