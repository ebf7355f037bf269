// Rows of series and of the streams that fill them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/id.h"
#include "storage/metrics/event_store.h"
#include "storage/sqlite/connection.h"

// Errors of SQL are SQLite::Exception; those that write: inside a transaction of the writer.
namespace lctl::storage {

// The number of a job's series.
std::optional<std::int64_t> find_series(Connection& connection, std::int64_t job,
                                        std::string_view key);

// The same, made when it is new. Not to be remembered beyond the transaction: what is made in one
// that is undone is none.
std::int64_t series_of(Connection& connection, std::int64_t job, std::string_view key);

// How much of a stream of the job is applied; 0 for a new one.
std::uint64_t read_committed(Connection& connection, std::int64_t job, const StreamKey& stream);
void write_committed(Connection& connection, std::int64_t job, const StreamKey& stream,
                     std::uint64_t committed);

}  // namespace lctl::storage
