// Reading metric series. Points come in through EventStore.
//
// Lineage: an attempt that resumes from a checkpoint continues the curve from the spool offset at
// which that checkpoint was captured. Points of earlier attempts behind that offset are
// *superseded*: they stay stored and leave the curve. What nodes measured is never superseded.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/status.h"

namespace lctl::storage {

struct MetricPoint {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  std::int64_t time_us = 0;
  double value = 0;
  AttemptNumber attempt = 0;
};

struct MetricQuery {
  JobId job;
  std::string key;
  std::int64_t from_step = std::numeric_limits<std::int64_t>::min();
  std::int64_t to_step = 0;  // exclusive; 0 = no end
  int max_points = 0;  // 0 = all; else >= 4, down-sampled keeping first, last, bucket min and max
  bool include_superseded = false;
  // With max_points 0, for who reads page by page: as many points from the front are left out, and
  // at most so many returned (0 = no limit).
  std::int64_t skip = 0;
  std::int64_t limit = 0;
};

struct MetricSummary {
  std::string key;
  std::int64_t points = 0;  // on the curve
  MetricPoint last;
  double min = 0;  // over finite values; NaN when there is none
  double max = 0;
  bool measured_by_nodes = false;  // else logged by the ranks
};

// Part of Store; same errors and thread rule.
class MetricStore {
 public:
  virtual ~MetricStore() = default;

  // In step order, equal steps in the order in which they were written. NotFound for an unknown
  // job, or for an unknown key, naming the nearest known one. InvalidArgument for max_points of 1
  // to 3.
  virtual absl::StatusOr<std::vector<MetricPoint>> read(const MetricQuery& query) const = 0;

  // Sorted by key; keys without a point on the curve are left out. Reads the summaries of
  // all blocks of the job (docs/formats/store.md), and of each series the last.
  virtual absl::StatusOr<std::vector<MetricSummary>> summaries(const JobId& job) const = 0;
};

}  // namespace lctl::storage
