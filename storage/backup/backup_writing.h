// A backup of a store that is in use.
#pragma once

#include <filesystem>

#include "base/clock.h"
#include "base/status.h"
#include "storage/blobs/chunk_folder.h"
#include "storage/maintenance/maintenance.h"

namespace lctl::storage {

struct BackupSource {
  const std::filesystem::path& dir;  // the store's own folder
  ChunkFolder& chunks;
  const Clock& clock;
};

// Adds a backup to `request.dir` (backup_folder.h). It is the store at one moment, with every chunk
// of every checkpoint that it knows:
//   1. garbage collection is held, so from here on no chunk goes;
//   2. the database is copied in one snapshot. Whatever manifest is in it was committed, so its
//      chunks were in place before (invariant 5 of docs/formats/store.md), and by 1 they still are;
//   3. chunks that the folder lacks are linked or copied, as the copied manifests name them;
//   4. manifest.json is written, all is synced, and the folder renamed: only now is it a backup.
// What is cut off before 4 leaves an .incomplete folder, which the next backup deletes, and chunks,
// which the next backup need not copy again.
//
// Errors: InvalidArgument (the folder), FailedPrecondition or Unavailable (another backup into it
// runs), DataLoss (the database is damaged), Cancelled, ResourceExhausted and other errors of the
// disk. Chunks that the store itself lacks are no error: they are in the report.
absl::StatusOr<BackupReport> write_backup(const BackupSource& source, const BackupRequest& request,
                                          ProgressSink progress);

}  // namespace lctl::storage
