// TrackingStore over SQLite.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "storage/sqlite/database.h"
#include "storage/tracking/tracking_store.h"

namespace lctl::storage {

// Both must outlive it. Thread rule: internally locked.
class SqliteTrackingStore final : public TrackingStore {
 public:
  SqliteTrackingStore(Database& database, const Clock& clock)
      : database_(database), clock_(clock) {}

  absl::StatusOr<std::int64_t> create_experiment(const std::string& name,
                                                 const Tags& tags) override;
  absl::StatusOr<Experiment> experiment(std::int64_t id) const override;
  absl::StatusOr<Experiment> experiment_named(std::string_view name) const override;
  absl::StatusOr<std::vector<Experiment>> experiments(
      Lifecycle lifecycle, const Filter& where, const std::vector<Order>& order) const override;
  absl::Status set_experiment_deleted(std::int64_t id, bool deleted) override;
  absl::Status rename_experiment(std::int64_t id, const std::string& name) override;
  absl::Status tag_experiment(std::int64_t id, const std::string& key,
                              const std::optional<std::string>& value) override;

  absl::StatusOr<Run> create_run(const NewRun& run) override;
  absl::StatusOr<Run> run(const JobId& id) const override;
  absl::StatusOr<RunPlace> place(const JobId& id) const override;
  absl::StatusOr<std::vector<Run>> runs(const RunFilter& filter) const override;
  absl::StatusOr<Run> update_run(const JobId& id, const RunUpdate& update) override;
  absl::Status set_run_deleted(const JobId& id, bool deleted) override;
  absl::Status log(const JobId& id, const RunBatch& batch) override;

 private:
  std::int64_t now_us() const { return unix_micros(clock_.wall_now()); }

  Database& database_;
  const Clock& clock_;
};

}  // namespace lctl::storage
