// MetricStore over SQLite.
#pragma once

#include <vector>

#include "storage/metrics/metric_store.h"
#include "storage/sqlite/database.h"

namespace lctl::storage {

// `database` must outlive it. Thread rule: internally locked.
class SqliteMetricStore final : public MetricStore {
 public:
  explicit SqliteMetricStore(const Database& database) : database_(database) {}

  absl::StatusOr<std::vector<MetricPoint>> read(const MetricQuery& query) const override;
  absl::StatusOr<std::vector<MetricSummary>> summaries(const JobId& job) const override;

 private:
  const Database& database_;
};

}  // namespace lctl::storage
