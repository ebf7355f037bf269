#include "storage/sqlite/connection.h"

#include <SQLiteCpp/Exception.h>
#include <sqlite3.h>

#include <cmath>
#include <limits>
#include <string>

#include "base/check.h"

namespace lctl::storage {
namespace {

constexpr std::int64_t kPageBytes = 4096;

int open_flags(Connection::Mode mode) {
  // NOMUTEX: each connection is used by one thread at a time, so SQLite need not lock for us.
  const int common = SQLITE_OPEN_NOMUTEX;
  return mode == Connection::Mode::kWrite ? common | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                          : common | SQLITE_OPEN_READONLY;
}

}  // namespace

Query::~Query() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Query::check(int code) const {
  if (code != SQLITE_OK) throw SQLite::Exception(sqlite3_db_handle(statement_), code);
}

bool Query::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  throw SQLite::Exception(sqlite3_db_handle(statement_), code);
}

std::int64_t Query::run() {
  while (step()) {
  }
  return sqlite3_changes64(sqlite3_db_handle(statement_));
}

std::int64_t Query::integer(int column) const { return sqlite3_column_int64(statement_, column); }

double Query::real(int column) const {
  if (is_null(column)) return std::numeric_limits<double>::quiet_NaN();
  return sqlite3_column_double(statement_, column);
}

std::string_view Query::text(int column) const {
  const auto* begin = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (begin == nullptr) return {};
  return {begin, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::string_view Query::blob(int column) const {
  const auto* begin = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  if (begin == nullptr) return {};
  return {begin, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

bool Query::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

void Query::bind_null(int position) { check(sqlite3_bind_null(statement_, position)); }

void Query::bind_integer(int position, std::int64_t value) {
  check(sqlite3_bind_int64(statement_, position, value));
}

void Query::bind_real(int position, double value) {
  // SQLite itself stores NaN as NULL; said here because the schema relies on it.
  if (std::isnan(value)) return bind_null(position);
  check(sqlite3_bind_double(statement_, position, value));
}

void Query::bind_text(int position, std::string_view value) {
  // A null pointer would bind NULL: an empty view may have one.
  check(sqlite3_bind_text64(statement_, position, value.empty() ? "" : value.data(), value.size(),
                            SQLITE_TRANSIENT, SQLITE_UTF8));
}

void Query::bind_blob(int position, std::string_view value) {
  check(sqlite3_bind_blob64(statement_, position, value.empty() ? "" : value.data(), value.size(),
                            SQLITE_TRANSIENT));
}

Connection::Connection(const std::filesystem::path& file, Mode mode, Limits limits)
    : database_(file.string(), open_flags(mode), limits.busy_timeout_ms) {
  sqlite3_extended_result_codes(database_.getHandle(), 1);
  database_.exec("PRAGMA foreign_keys = ON");
  database_.exec("PRAGMA temp_store = MEMORY");
  if (mode == Mode::kRead) {
    database_.exec("PRAGMA query_only = ON");
    database_.exec("PRAGMA cache_size = -16384");  // KiB
    return;
  }
  database_.exec("PRAGMA journal_mode = WAL");
  // FULL, not NORMAL: in WAL mode only FULL syncs at each commit, and we acknowledge after commit.
  database_.exec("PRAGMA synchronous = FULL");
  database_.exec("PRAGMA cache_size = -65536");
  database_.exec("PRAGMA wal_autocheckpoint = 4096");      // pages: 16 MiB
  database_.exec("PRAGMA journal_size_limit = 67108864");  // bytes kept of a WAL that grew
  if (limits.max_database_bytes > 0) {
    const std::int64_t pages = limits.max_database_bytes / kPageBytes;
    database_.exec("PRAGMA max_page_count = " + std::to_string(pages));
  }
}

Connection::~Connection() = default;

bool Connection::in_autocommit() const {
  return sqlite3_get_autocommit(const_cast<SQLite::Database&>(database_).getHandle()) != 0;
}

void Connection::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

sqlite3_stmt* Connection::prepared(const char* sql) {
  std::unique_ptr<sqlite3_stmt, Finalize>& kept = statements_[sql];
  if (kept == nullptr) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v3(database_.getHandle(), sql, -1, SQLITE_PREPARE_PERSISTENT,
                                        &statement, nullptr);
    if (code != SQLITE_OK) throw SQLite::Exception(database_.getHandle(), code);
    kept.reset(statement);
  }
  LCTL_CHECK(sqlite3_stmt_busy(kept.get()) == 0, "a statement has one use at a time");
  return kept.get();
}

}  // namespace lctl::storage
