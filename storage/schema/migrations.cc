#include "storage/schema/migrations.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <fmt/format.h>

#include "storage/sqlite/error.h"

namespace lctl::storage {
namespace {

constexpr int kBusyTimeoutMs = 5'000;
// "lctl" in ASCII, in the file's header: tells our files from other programs'.
constexpr int kApplicationId = 0x6c63746c;

absl::Status check_owner(SQLite::Database& database, const std::filesystem::path& file) {
  const int application = database.execAndGet("PRAGMA application_id").getInt();
  if (application == kApplicationId) return absl::OkStatus();
  const int tables = database.execAndGet("SELECT count(*) FROM sqlite_schema").getInt();
  if (application == 0 && tables == 0) return absl::OkStatus();  // a new file
  return absl::FailedPreconditionError(fmt::format(
      "{}: not a store of lctl but another program's database; choose another data folder",
      file.string()));
}

absl::Status apply(SQLite::Database& database, std::span<const Migration> known,
                   const std::filesystem::path& file, const Clock& clock) {
  const int newest = known.empty() ? 0 : known.back().number;
  int version = 0;
  if (database.tableExists("schema_version")) {
    version = database.execAndGet("SELECT coalesce(max(version), 0) FROM schema_version").getInt();
  }
  if (version > newest) {
    return absl::FailedPreconditionError(
        fmt::format("{}: has schema version {}, this program knows versions up to {}: it was "
                    "written by a newer lctl; install that version or restore an older backup",
                    file.string(), version, newest));
  }
  for (const Migration& migration : known) {
    if (migration.number <= version) continue;
    SQLite::Transaction transaction(database);
    if (migration.number == 1) {
      database.exec(fmt::format("PRAGMA application_id = {}", kApplicationId));
      database.exec(
          "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL,"
          " applied_us INTEGER NOT NULL) STRICT");
    }
    database.exec(migration.sql);
    if (migration.convert != nullptr) migration.convert(database);
    SQLite::Statement row(database, "INSERT INTO schema_version VALUES (?, ?, ?)");
    row.bind(1, migration.number);
    row.bind(2, migration.name);
    row.bind(3, static_cast<int64_t>(unix_micros(clock.wall_now())));
    row.exec();
    transaction.commit();
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status migrate(const std::filesystem::path& file, const Clock& clock,
                     std::span<const Migration> known) {
  try {
    SQLite::Database database(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                              kBusyTimeoutMs);
    LCTL_RETURN_IF_ERROR(check_owner(database, file));
    database.exec("PRAGMA journal_mode = WAL");
    database.exec("PRAGMA synchronous = FULL");
    return apply(database, known, file, clock);
  } catch (const SQLite::Exception& error) {
    return with_context(status_of(error, file.string()), "opening the store");
  }
}

}  // namespace lctl::storage
