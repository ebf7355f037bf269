// A copy of a database that others are using.
#pragma once

#include <cstdint>
#include <filesystem>

#include "absl/functional/function_ref.h"
#include "base/status.h"

namespace lctl::storage {

// Writes the database `from`, as it is at one moment of the call, to the new file `to`: a single
// file without a write-ahead log, synced. Readers and writers of `from` go on meanwhile; only its
// write-ahead log cannot be emptied before the end, so it grows by what is written in that time.
//
// `progress` hears pages done and pages in all; false ends the copying with Cancelled. After an
// error there may be a part of `to`, which the caller removes. Thread rule: any thread.
absl::Status copy_database(const std::filesystem::path& from, const std::filesystem::path& to,
                           absl::FunctionRef<bool(std::int64_t, std::int64_t)> progress);

}  // namespace lctl::storage
