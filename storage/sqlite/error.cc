#include "storage/sqlite/error.h"

#include <fmt/format.h>
#include <sqlite3.h>

namespace lctl::storage {
namespace {

struct Meaning {
  absl::StatusCode code;
  const char* name;
  const char* advice;
};

Meaning meaning_of(int primary_code) {
  using absl::StatusCode;
  switch (primary_code) {
    case SQLITE_FULL:
      return {StatusCode::kResourceExhausted, "SQLITE_FULL", "free space on the store's disk"};
    case SQLITE_NOMEM:
      return {StatusCode::kResourceExhausted, "SQLITE_NOMEM", "the machine is out of memory"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {StatusCode::kUnavailable, "SQLITE_BUSY",
              "another program holds the database; end it, then try again"};
    case SQLITE_IOERR:
      return {StatusCode::kUnavailable, "SQLITE_IOERR", "check the store's disk (dmesg)"};
    case SQLITE_CANTOPEN:
      return {StatusCode::kUnavailable, "SQLITE_CANTOPEN",
              "check that the folder exists, is writable, and that files can be opened"};
    case SQLITE_PROTOCOL:
      return {StatusCode::kUnavailable, "SQLITE_PROTOCOL", "try again"};
    case SQLITE_CORRUPT:
      return {StatusCode::kDataLoss, "SQLITE_CORRUPT", "restore the store from a backup"};
    case SQLITE_NOTADB:
      return {StatusCode::kDataLoss, "SQLITE_NOTADB",
              "the file is not a database; restore the store from a backup"};
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return {StatusCode::kPermissionDenied, "SQLITE_READONLY",
              "give the user that runs this program write access to the store"};
    case SQLITE_CONSTRAINT:
      return {StatusCode::kFailedPrecondition, "SQLITE_CONSTRAINT",
              "the change contradicts what the store holds"};
    default:
      return {StatusCode::kInternal, "SQLite error", "this is a bug in lctl"};
  }
}

}  // namespace

absl::Status status_of(const SQLite::Exception& error, std::string_view where) {
  const Meaning meaning = meaning_of(error.getErrorCode() & 0xff);
  return absl::Status(meaning.code,
                      fmt::format("{}: {} ({}, code {}); {}", where, error.what(), meaning.name,
                                  error.getExtendedErrorCode(), meaning.advice));
}

}  // namespace lctl::storage
