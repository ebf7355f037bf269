// From SQLite's error codes to absl::Status. Inside storage/, SQL errors travel as
// SQLite::Exception; Database::read() and Database::write() are the two doors at which they become
// a Status.
#pragma once

#include <SQLiteCpp/Exception.h>

#include <string_view>

#include "base/status.h"

namespace lctl::storage {

// "<where>: <SQLite's message> (<code>); <what to do>". FULL and NOMEM become ResourceExhausted;
// BUSY, LOCKED, IOERR, CANTOPEN and PROTOCOL Unavailable; CORRUPT and NOTADB DataLoss; READONLY,
// PERM and AUTH PermissionDenied; CONSTRAINT FailedPrecondition; all else Internal.
absl::Status status_of(const SQLite::Exception& error, std::string_view where);

}  // namespace lctl::storage
