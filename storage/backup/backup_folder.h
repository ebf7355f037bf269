// A folder of backups:
//
//   BACKUPS/lctl.lock
//   BACKUPS/blobs/ab/cdef…        chunks, shared by all backups in the folder
//   BACKUPS/20260131T140509Z/     one backup: lctl.db and manifest.json
//   BACKUPS/….incomplete/         one that is being made, or was not finished: of no use
//
// Names sort by time. A backup appears whole, by one rename.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "storage/backup/backup_manifest.h"

namespace lctl::storage {

inline constexpr char kBackupDatabase[] = "lctl.db";
inline constexpr char kBackupManifest[] = "manifest.json";
inline constexpr char kBackupChunks[] = "blobs";

// "20260131T140509Z"; with "-2", "-3", … while there is one of that name.
std::string new_backup_name(const std::filesystem::path& dir, WallTime now);

// The whole backups in the folder, oldest first.
absl::StatusOr<std::vector<std::string>> list_backups(const std::filesystem::path& dir);

// Deletes what was not finished.
absl::Status remove_incomplete(const std::filesystem::path& dir);

// The folder in which a backup becomes whole, made empty.
absl::StatusOr<std::filesystem::path> make_incomplete(const std::filesystem::path& dir,
                                                      std::string_view name);

// Makes it whole: durable from here on.
absl::Status complete(const std::filesystem::path& incomplete, const BackupManifest& manifest);

// Deletes a backup, all of it or, after a crash, what remove_incomplete() finishes.
absl::Status remove_backup(const std::filesystem::path& dir, std::string_view name);

absl::StatusOr<BackupManifest> read_manifest(const std::filesystem::path& backup);

// SHA-256 of a file, 64 hex digits.
absl::StatusOr<std::string> hash_file(const std::filesystem::path& file);

}  // namespace lctl::storage
