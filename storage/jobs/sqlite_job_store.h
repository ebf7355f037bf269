// JobStore over SQLite.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "storage/jobs/job_store.h"
#include "storage/sqlite/database.h"

namespace lctl::storage {

// `database` and `clock` must outlive it. Thread rule: internally locked.
class SqliteJobStore final : public JobStore {
 public:
  SqliteJobStore(Database& database, const Clock& clock) : database_(database), clock_(clock) {}

  absl::StatusOr<JobId> create(const JobChange& change, std::string_view idempotency_key) override;
  absl::Status record(std::span<const JobChange> changes) override;
  absl::StatusOr<v1::Job> label(const JobId& id, const LabelChange& change) override;
  absl::StatusOr<Origin> origin(const JobId& id) const override;
  absl::StatusOr<v1::Job> get(const JobId& id) const override;
  absl::StatusOr<JobId> resolve(std::string_view reference) const override;
  absl::StatusOr<std::vector<v1::Job>> list(const JobFilter& filter) const override;
  absl::StatusOr<std::vector<std::vector<FoundValue>>> values(
      std::span<const std::string> jobs, std::span<const SearchKey> keys) const override;
  absl::StatusOr<std::vector<v1::Attempt>> attempts(const JobId& id) const override;
  absl::StatusOr<std::vector<v1::Transition>> transitions(const JobId& id) const override;
  absl::StatusOr<std::string> hyperparameters(const JobId& id) const override;
  absl::StatusOr<std::optional<v1::SourceCode>> source(const JobId& id,
                                                       bool with_diff) const override;
  absl::StatusOr<std::vector<ReportedEnvironment>> environments(const JobId& id) const override;
  absl::StatusOr<std::vector<ExperimentRow>> experiments() const override;
  absl::StatusOr<std::optional<JobId>> submitted(std::string_view key) const override;
  absl::StatusOr<std::vector<FinishedJob>> finished() const override;
  absl::StatusOr<std::int64_t> remove(const JobId& id) override;
  absl::Status remove_output(const JobId& id) override;
  absl::Status upsert_node(const NodeRow& node) override;
  absl::Status set_drained(const NodeId& node, std::int64_t drained_us,
                           std::string_view reason) override;
  absl::StatusOr<std::vector<NodeRow>> nodes() const override;

 private:
  Database& database_;
  const Clock& clock_;
};

}  // namespace lctl::storage
