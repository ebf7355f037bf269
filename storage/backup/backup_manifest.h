// manifest.json of a backup: what it holds, so that a restore can tell whether all of it is there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace lctl::storage {

struct BackupManifest {
  std::string program_version;  // that made it
  std::int64_t time_us = 0;     // of the snapshot
  int schema = 0;               // of the database
  std::int64_t database_bytes = 0;
  std::string database_sha256;  // 64 hex digits
  std::int64_t jobs = 0;
  std::int64_t checkpoints = 0;
  std::int64_t chunks = 0;  // that its checkpoints name
  std::int64_t chunk_bytes = 0;
  std::int64_t missing_chunks = 0;  // of them: that the store itself did not have
};

inline constexpr std::size_t kMaxManifestBytes = 64 << 10;

// JSON, indented.
std::string to_json(const BackupManifest& manifest);

// InvalidArgument: not the JSON of a backup's manifest, with what is wrong. FailedPrecondition: of
// a later version of the format. Fields that are not known are ignored.
absl::StatusOr<BackupManifest> parse_backup_manifest(std::string_view text);

}  // namespace lctl::storage
