#include "storage/logs/text_log.h"

#include <algorithm>
#include <limits>
#include <string>

namespace lctl::storage {
namespace {

// A page ends when it has this many bytes, however few chunks they are.
constexpr std::size_t kMaxPageBytes = 4 << 20;

}  // namespace

void append_chunk(Connection& connection, const JobRow& job, const StreamKey& stream,
                  std::uint64_t offset, std::string_view text, std::int64_t time_us) {
  connection
      .query(
          "INSERT INTO text_chunks (job, attempt, rank, kind, offset, time_us, text)"
          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
      .bind(job.number, stream.attempt.number, stream.rank, stream.kind, offset, time_us,
            Blob{text})
      .run();
}

void remove_chunks(Connection& connection, const JobRow& job) {
  connection.query("DELETE FROM text_chunks WHERE job = ?1").bind(job.number).run();
}

EventStore::TextPage read_chunks(Connection& connection, const JobRow& job,
                                 const EventStore::TextQuery& wanted) {
  EventStore::TextPage page;
  page.last_id = wanted.after_id;
  Query query = connection.query(
      "SELECT id, attempt, rank, kind, offset, time_us, text FROM text_chunks"
      " WHERE job = ?1 AND id > ?2 AND (?3 = 0 OR attempt = ?3) AND (?4 < 0 OR rank = ?4)"
      " ORDER BY id LIMIT ?5");
  query.bind(job.number, wanted.after_id, wanted.attempt, wanted.rank, wanted.max_chunks);
  std::size_t bytes = 0;
  while (bytes < kMaxPageBytes && query.step()) {
    page.last_id = query.integer(0);
    page.chunks.push_back(
        {.stream = {{wanted.job, query.small(1)}, query.small(2), query.enumeration<StreamKind>(3)},
         .offset = query.offset(4),
         .time_us = query.integer(5),
         .text = std::string(query.blob(6))});
    bytes += page.chunks.back().text.size();
  }
  return page;
}

EventStore::TextTail find_tail(Connection& connection, const JobRow& job,
                               const EventStore::TextQuery& wanted, std::int64_t bytes) {
  EventStore::TextTail tail;
  std::int64_t first_id = std::numeric_limits<std::int64_t>::max();
  // Per stream: where its tail begins, and the chunk that holds that byte.
  Query query = connection.query(
      "SELECT s.attempt, s.rank, s.kind, max(0, s.committed - ?4) AS begin,"
      " (SELECT c.id FROM text_chunks c WHERE c.job = s.job AND c.attempt = s.attempt"
      "  AND c.rank = s.rank AND c.kind = s.kind AND c.offset <= max(0, s.committed - ?4)"
      "  ORDER BY c.offset DESC LIMIT 1) AS chunk"
      " FROM streams s WHERE s.job = ?1 AND s.kind <> 1"
      " AND (?2 = 0 OR s.attempt = ?2) AND (?3 < 0 OR s.rank = ?3)");
  query.bind(job.number, wanted.attempt, wanted.rank, bytes);
  while (query.step()) {
    const StreamKey stream{
        {wanted.job, query.small(0)}, query.small(1), query.enumeration<StreamKind>(2)};
    tail.begin[stream] = query.offset(3);
    first_id = std::min(first_id, query.is_null(4) ? std::int64_t{1} : query.integer(4));
  }
  if (!tail.begin.empty()) tail.after_id = first_id - 1;
  return tail;
}

}  // namespace lctl::storage
