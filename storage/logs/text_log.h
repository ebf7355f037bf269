// Console output of ranks, in the order in which it arrived.
#pragma once

#include <cstdint>
#include <string_view>

#include "storage/jobs/job_rows.h"
#include "storage/metrics/event_store.h"
#include "storage/sqlite/connection.h"

// Errors of SQL are SQLite::Exception; the caller locks the connection.
namespace lctl::storage {

void append_chunk(Connection& connection, const JobRow& job, const StreamKey& stream,
                  std::uint64_t offset, std::string_view text, std::int64_t time_us);

// What EventStore::read_text() and find_tail() document.
// Of all its streams; how much of them was committed stays known.
void remove_chunks(Connection& connection, const JobRow& job);

EventStore::TextPage read_chunks(Connection& connection, const JobRow& job,
                                 const EventStore::TextQuery& wanted);
EventStore::TextTail find_tail(Connection& connection, const JobRow& job,
                               const EventStore::TextQuery& wanted, std::int64_t bytes);

}  // namespace lctl::storage
