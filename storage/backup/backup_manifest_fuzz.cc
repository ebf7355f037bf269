// manifest.json of a backup that somebody has edited.
#include <string>
#include <vector>

#include "storage/backup/backup_manifest.h"
#include "tests/support/fuzz.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {storage::to_json({.program_version = "0.1.0",
                            .time_us = 1'800'000'000'000'000,
                            .schema = 5,
                            .database_bytes = 4096,
                            .database_sha256 = std::string(64, 'a'),
                            .jobs = 3,
                            .checkpoints = 2,
                            .chunks = 7,
                            .chunk_bytes = 1 << 20}),
          "{\"format\": \"lctl-backup\", \"format_version\": 18446744073709551615}"};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto manifest = lctl::storage::parse_backup_manifest(text);
  if (!manifest.ok()) return 0;
  if (manifest->schema < 1 || manifest->chunks < 0) __builtin_trap();
  // What was understood is written so that it is understood again.
  if (!lctl::storage::parse_backup_manifest(lctl::storage::to_json(*manifest)).ok()) {
    __builtin_trap();
  }
  return 0;
}
