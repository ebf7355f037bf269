// Rows of metric series and of the streams that fill them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/jobs/lineage.h"
#include "storage/metrics/event_store.h"
#include "storage/sqlite/connection.h"

namespace lctl::storage {

// Who writes a series. Values are those of the column.
enum class SeriesSource {
  kRank = 0,  // rank 0, by logging
  kNode = 1,  // the node daemons, by measuring
};

struct Series {
  std::int64_t id = 0;
  SeriesSource source = SeriesSource::kRank;

  // Which history its curve follows; null = all attempts: what nodes measured is not undone by a
  // resume.
  const Lineage* lineage(const Lineage& of_job) const {
    return source == SeriesSource::kRank ? &of_job : nullptr;
  }
};

// nullopt when the job has no such key. Errors: SQLite::Exception. Caller locks the connection.
std::optional<Series> find_series(Connection& connection, std::int64_t job, std::string_view key);

// All of the job with their keys, by key.
std::vector<std::pair<Series, std::string>> all_series(Connection& connection, std::int64_t job);

// The series for points of that source, made when it is not there. When a rank logs a key that
// nodes measure, it gets the key and what they measured goes; nullopt when it is the other way
// round: the nodes' points have no place. Not to be remembered beyond the transaction: a series
// made in one that is undone is none. Inside a transaction of the writer; errors as above.
std::optional<std::int64_t> series_for(Connection& connection, std::int64_t job,
                                       std::string_view key, SeriesSource source);

// How much of a stream of the job is applied; 0 for a new one. Errors and rules as above.
std::uint64_t read_committed(Connection& connection, std::int64_t job, const StreamKey& stream);
void write_committed(Connection& connection, std::int64_t job, const StreamKey& stream,
                     std::uint64_t committed);

}  // namespace lctl::storage
