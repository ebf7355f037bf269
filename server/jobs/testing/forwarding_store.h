// A store that passes everything on to another one: for tests that change a part of it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/jobs/job_store.h"
#include "storage/store.h"

namespace lctl::jobs {

// Its jobs() is itself, so that what is written of jobs can be overridden; the other parts are the
// real ones. Thread rule: caller locks.
class ForwardingStore : public storage::Store, protected storage::JobStore {
 public:
  // `real` outlives this.
  explicit ForwardingStore(storage::Store& real) : real_(real) {}

  storage::JobStore& jobs() override { return *this; }
  storage::EventStore& events() override { return real_.events(); }
  storage::MetricStore& metrics() override { return real_.metrics(); }
  storage::CheckpointStore& checkpoints() override { return real_.checkpoints(); }
  storage::TrackingStore& tracking() override { return real_.tracking(); }
  storage::ArtifactStore& artifacts() override { return real_.artifacts(); }
  storage::ModelStore& models() override { return real_.models(); }
  storage::Maintenance& maintenance() override { return real_.maintenance(); }
  storage::StoreStatistics statistics() const override { return real_.statistics(); }

 protected:
  absl::StatusOr<JobId> create(const storage::JobChange& change, std::string_view key) override {
    return real_.jobs().create(change, key);
  }
  absl::Status record(std::span<const storage::JobChange> changes) override {
    return real_.jobs().record(changes);
  }
  absl::StatusOr<v1::Job> label(const JobId& id, const storage::LabelChange& change) override {
    return real_.jobs().label(id, change);
  }
  absl::StatusOr<storage::Origin> origin(const JobId& id) const override {
    return real_.jobs().origin(id);
  }
  absl::StatusOr<v1::Job> get(const JobId& id) const override { return real_.jobs().get(id); }
  absl::StatusOr<JobId> resolve(std::string_view reference) const override {
    return real_.jobs().resolve(reference);
  }
  absl::StatusOr<std::vector<v1::Job>> list(const storage::JobFilter& filter) const override {
    return real_.jobs().list(filter);
  }
  absl::StatusOr<std::vector<std::vector<storage::FoundValue>>> values(
      std::span<const std::string> jobs, std::span<const storage::SearchKey> keys) const override {
    return real_.jobs().values(jobs, keys);
  }
  absl::StatusOr<std::vector<v1::Attempt>> attempts(const JobId& id) const override {
    return real_.jobs().attempts(id);
  }
  absl::StatusOr<std::vector<v1::Transition>> transitions(const JobId& id) const override {
    return real_.jobs().transitions(id);
  }
  absl::StatusOr<std::string> hyperparameters(const JobId& id) const override {
    return real_.jobs().hyperparameters(id);
  }
  absl::StatusOr<std::optional<v1::SourceCode>> source(const JobId& id,
                                                       bool with_diff) const override {
    return real_.jobs().source(id, with_diff);
  }
  absl::StatusOr<std::vector<storage::ReportedEnvironment>> environments(
      const JobId& id) const override {
    return real_.jobs().environments(id);
  }
  absl::StatusOr<std::vector<ExperimentRow>> experiments() const override {
    return real_.jobs().experiments();
  }
  absl::StatusOr<std::optional<JobId>> submitted(std::string_view key) const override {
    return real_.jobs().submitted(key);
  }
  absl::StatusOr<std::vector<storage::FinishedJob>> finished() const override {
    return real_.jobs().finished();
  }
  absl::StatusOr<std::int64_t> remove(const JobId& id) override { return real_.jobs().remove(id); }
  absl::Status remove_output(const JobId& id) override { return real_.jobs().remove_output(id); }
  absl::Status upsert_node(const storage::NodeRow& node) override {
    return real_.jobs().upsert_node(node);
  }
  absl::Status set_drained(const NodeId& node, std::int64_t drained_us,
                           std::string_view reason) override {
    return real_.jobs().set_drained(node, drained_us, reason);
  }
  absl::StatusOr<std::vector<storage::NodeRow>> nodes() const override {
    return real_.jobs().nodes();
  }

  storage::Store& real_;
};

}  // namespace lctl::jobs
