// What an operator does to a store that is in use: check it, back it up, make it smaller.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "storage/maintenance/progress.h"

namespace lctl::storage {

// What a check has looked at, and what is wrong.
struct CheckReport {
  std::int64_t jobs = 0;
  std::int64_t point_blocks = 0;
  std::int64_t checkpoints = 0;  // whose file is kept
  std::int64_t chunks = 0;       // that checkpoints name
  std::int64_t chunk_bytes = 0;
  // Chunks that no checkpoint names: uploads in flight, and what garbage collection will free.
  std::int64_t unused_chunks = 0;
  std::int64_t unused_bytes = 0;
  std::int64_t damaged_files = 0;  // chunks that were put aside: nothing refers to the files
  // Each says what is wrong, and where; at most kMaxFindings.
  std::vector<std::string> findings;
  std::int64_t more_findings = 0;

  static constexpr std::size_t kMaxFindings = 100;
  void add(std::string finding) {
    if (findings.size() < kMaxFindings) {
      findings.push_back(std::move(finding));
    } else {
      ++more_findings;
    }
  }
};

struct VacuumReport {
  std::int64_t bytes_before = 0;  // of the database with its write-ahead log
  std::int64_t bytes_after = 0;
};

struct BackupRequest {
  std::filesystem::path dir;  // absolute; made when absent; not inside the store's own folder
  int keep = 0;               // newest backups to keep in it, this one included; 0 = all
};

struct BackupReport {
  std::filesystem::path folder;  // of this backup, in the request's
  std::int64_t database_bytes = 0;
  std::int64_t jobs = 0;
  std::int64_t checkpoints = 0;
  std::int64_t chunks = 0;  // that the backup needs: those of earlier ones included
  std::int64_t chunk_bytes = 0;
  std::int64_t linked_chunks = 0;  // new in the folder, by a hard link: they take no space
  std::int64_t copied_chunks = 0;
  std::int64_t copied_bytes = 0;
  std::vector<std::string> removed;  // names of older backups that `keep` has ended
  // Chunks that the store itself lacks or has damaged; the backup has all else. The first few, in
  // words.
  std::int64_t missing_chunks = 0;
  std::vector<std::string> missing;
};

// Part of Store; same errors and thread rule, but one of these at a time: a second one gets
// FailedPrecondition, which says what is running.
class Maintenance {
 public:
  virtual ~Maintenance() = default;

  // SQLite's own check of every page and reference, the order of points, every checkpoint's chunks
  // present in their size; `deep`: also every block of points and every chunk's hash, and
  // checkpoints with a damaged chunk are marked (CheckpointStore::verify()). Writers and readers go
  // on. An error means that the check itself failed; what it found is in the report.
  virtual absl::StatusOr<CheckReport> check(bool deep, ProgressSink progress) = 0;

  // What the store takes for what it holds: pages of the database that are in use, and the chunks
  // of all checkpoints. Looks at every chunk's row.
  virtual absl::StatusOr<std::int64_t> used_bytes() const = 0;

  // Rewrites the database without its free pages and gives their space back to the disk. Reads go
  // on; all that writes waits until it is done (a second or so for each 100 MiB). ResourceExhausted
  // when there is no room for the second copy that it needs meanwhile; nothing has changed then.
  virtual absl::StatusOr<VacuumReport> vacuum() = 0;

  // Makes a backup (backup/backup_writing.h) while the store is in use.
  virtual absl::StatusOr<BackupReport> back_up(const BackupRequest& request,
                                               ProgressSink progress) = 0;
};

}  // namespace lctl::storage
