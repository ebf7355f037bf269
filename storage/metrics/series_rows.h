// The rows of metric series.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "storage/jobs/lineage.h"
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

// The series for points of that source, made when it is not there. When a rank logs a key that
// nodes measure, it gets the key and what they measured goes; nullopt when it is the other way
// round: the nodes' points have no place. Inside a transaction of the writer; errors as above.
std::optional<std::int64_t> series_for(Connection& connection, std::int64_t job,
                                       std::string_view key, SeriesSource source);

}  // namespace lctl::storage
