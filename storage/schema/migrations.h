// The numbered changes that lead from an empty file to the newest schema.
#pragma once

#include <filesystem>
#include <span>

#include "base/clock.h"
#include "base/status.h"

namespace SQLite {
class Database;
}

namespace lctl::storage {

struct Migration {
  int number = 0;         // 1, 2, … without gaps
  const char* name = "";  // "0001_initial"
  const char* sql = "";
  void (*convert)(SQLite::Database&) = nullptr;  // what SQL cannot say, after it
};

// All of schema/*.sql in order, embedded at build time.
std::span<const Migration> migrations();

// Applies what `file` lacks, each migration in a transaction of its own together with its row in
// schema_version. Makes the file when it is absent. FailedPrecondition: the file was written by a
// newer program, or is a database of something else; nothing was changed. `known` is for tests.
// Thread rule: any thread, while no one else has the file open.
absl::Status migrate(const std::filesystem::path& file, const Clock& clock,
                     std::span<const Migration> known = migrations());

}  // namespace lctl::storage
