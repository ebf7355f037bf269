#include "storage/sqlite/online_copy.h"

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>

#include "base/descriptor.h"
#include "storage/sqlite/error.h"

namespace lctl::storage {
namespace {

constexpr int kBusyTimeoutMs = 5'000;
constexpr int kPagesPerStep = 4'096;  // 16 MiB

absl::Status sync_file(const std::filesystem::path& file) {
  const Descriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened.valid() || fsync(opened.get()) != 0) {
    return errno_status(errno, fmt::format("syncing {}", file.string()));
  }
  return absl::OkStatus();
}

absl::Status copy_pages(SQLite::Database& source, SQLite::Database& target,
                        absl::FunctionRef<bool(std::int64_t, std::int64_t)> progress) {
  // A read transaction of our own pins one snapshot for all steps. Without it each step would look
  // at the newest state, and whenever somebody has written in between SQLite would begin again from
  // the first page: under steady load the copy would never end.
  source.exec("BEGIN");
  source.execAndGet("SELECT count(*) FROM sqlite_schema");
  SQLite::Backup backup(target, source);
  int code = SQLITE_OK;
  while (code != SQLITE_DONE) {
    code = backup.executeStep(kPagesPerStep);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED) {
      return absl::UnavailableError(
          "the copy is locked by another program; end it, then try again");
    }
    const std::int64_t all = backup.getTotalPageCount();
    if (!progress(all - backup.getRemainingPageCount(), all)) {
      return absl::CancelledError("the copying was ended");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status copy_database(const std::filesystem::path& from, const std::filesystem::path& to,
                           absl::FunctionRef<bool(std::int64_t, std::int64_t)> progress) {
  try {
    SQLite::Database source(from.string(), SQLite::OPEN_READONLY, kBusyTimeoutMs);
    SQLite::Database target(to.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                            kBusyTimeoutMs);
    LCTL_RETURN_IF_ERROR(copy_pages(source, target, progress));
  } catch (const SQLite::Exception& error) {
    return with_context(status_of(error, to.string()), "copying the database");
  }
  try {
    // The copied header says WAL: whoever opened the file would leave two more beside it.
    SQLite::Database copy(to.string(), SQLite::OPEN_READWRITE, kBusyTimeoutMs);
    copy.exec("PRAGMA journal_mode = DELETE");
  } catch (const SQLite::Exception& error) {
    return with_context(status_of(error, to.string()), "completing the copy of the database");
  }
  return sync_file(to);
}

}  // namespace lctl::storage
