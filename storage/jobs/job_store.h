// Jobs, their attempts and transitions, and the nodes that were seen.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/status.h"
#include "proto/lctl/v1/job.pb.h"
#include "storage/jobs/label_change.h"
#include "storage/search/filter.h"
#include "storage/search/filter_matching.h"

namespace lctl::storage {

// Where a job comes from (jobs.origin).
enum class Origin {
  kSubmitted = 0,  // lctl submit: the engine schedules and ends it
  kLogged = 1,     // a run that a script of its own logs through MLflow's protocol
};

enum class Lifecycle { kActive, kDeleted, kAll };

// Everything that one step of the job state machine changes; committed whole.
struct JobChange {
  // The new row. `progress`, `ranks` and `note` are not stored from it, `spec` only by create(),
  // and `tags` never: the spec's are the first, label() changes them.
  v1::Job job;
  std::optional<v1::Transition> transition;  // appended
  std::optional<v1::Attempt> attempt;        // inserted or replaced, with its ranks
  Origin origin = Origin::kSubmitted;        // stored by create()
  std::optional<v1::SourceCode> source;      // stored by create()
};

struct JobFilter {
  std::vector<std::string> experiments;  // names; none = all
  std::vector<v1::JobState> states;      // none = all
  std::optional<Origin> origin;          // nullopt = any
  Lifecycle lifecycle = Lifecycle::kActive;
  int limit = 1000;  // at least 1
  // Only jobs that follow this one (an id) in the order, whether or not it fits; "" = all.
  std::string before;
  Filter where;  // all must hold (search/filter.h); metrics: the last value of the curve
  std::vector<Order> order;  // the first decides, then the next, then the newer job; none = newest
  // Words, each of which begins a word of the job's name, experiment, tags or note; "" = all.
  std::string search;
};

// A job that has ended, as rules of retention look at it. Bytes are about what its removal frees.
struct FinishedJob {
  JobId id;
  std::string name;
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  std::int64_t finished_us = 0;
  bool kept = false;  // it has a tag `keep` (with another value than false, no or 0)
  std::int64_t checkpoint_bytes = 0;
  std::int64_t spare_checkpoint_bytes = 0;  // of them: what CheckpointStore::trim() drops
  std::int64_t output_bytes = 0;
  std::int64_t point_bytes = 0;

  std::int64_t bytes() const { return checkpoint_bytes + output_bytes + point_bytes; }
};

// What a rank runs on, as it told.
struct ReportedEnvironment {
  int rank = 0;
  v1::RankEnvironment environment;
};

// A node as it was last registered.
struct NodeRow {
  NodeId id;
  std::string name;
  std::string address;
  std::string version;
  std::string boot_id;
  std::int64_t last_seen_us = 0;
  std::int64_t drained_us = 0;  // when it was drained; 0 = it is not. set_drained() changes it
  std::string drain_reason;
};

// Part of Store; same errors and thread rule.
class JobStore {
 public:
  virtual ~JobStore() = default;

  // Creates a job (with its first transition). `idempotency_key` "" = none. A key seen within the
  // last day creates nothing: the earlier job's id is returned. Otherwise returns change.job's id.
  // AlreadyExists when the id is taken.
  virtual absl::StatusOr<JobId> create(const JobChange& change,
                                       std::string_view idempotency_key) = 0;

  // Commits the changes in order, in one transaction, or none of them. NotFound when a job, or the
  // checkpoint that an attempt resumed from, does not exist. FailedPrecondition when a change would
  // take a job's attempt number back: it is the fencing number.
  virtual absl::Status record(std::span<const JobChange> changes) = 0;

  // Changes tags and note of a job in any state, whole or not at all, and returns it as get() does.
  // Errors of check_change() and apply_change(); NotFound for an unknown job.
  virtual absl::StatusOr<v1::Job> label(const JobId& id, const LabelChange& change) = 0;

  // NotFound for an unknown job.
  virtual absl::StatusOr<Origin> origin(const JobId& id) const = 0;

  // The job with its progress, tags and note, and `ranks` of its current attempt (with the ranks'
  // own last words).
  virtual absl::StatusOr<v1::Job> get(const JobId& id) const = 0;

  // Resolves what a user typed: "@last", an id, a name (its newest job), a unique prefix of an id;
  // the first that fits, in this order. A deleted run is found by its id only. NotFound (naming the
  // newest jobs) or, for an ambiguous prefix, InvalidArgument that lists the candidates.
  virtual absl::StatusOr<JobId> resolve(std::string_view reference) const = 0;

  // Newest first or in the filter's order, each as get() returns it but without its spec's
  // config_yaml, which can have a megabyte, and tags, of which the job has the newest. NotFound
  // when there is no job `filter.before`; InvalidArgument for a `search` without a word.
  virtual absl::StatusOr<std::vector<v1::Job>> list(const JobFilter& filter) const = 0;

  // What each of these jobs (ids) has under each of the keys, as a filter would see it; nothing of
  // a job that is gone.
  virtual absl::StatusOr<std::vector<std::vector<FoundValue>>> values(
      std::span<const std::string> jobs, std::span<const SearchKey> keys) const = 0;

  // Oldest first; ranks carry message and parameters_sha256 from their Finished events.
  virtual absl::StatusOr<std::vector<v1::Attempt>> attempts(const JobId& id) const = 0;
  virtual absl::StatusOr<std::vector<v1::Transition>> transitions(const JobId& id) const = 0;

  // What the module and the data module saved (YAML), as last reported; "" when never.
  virtual absl::StatusOr<std::string> hyperparameters(const JobId& id) const = 0;

  // The code that the job was submitted from; nullopt when the client sent none. Its diff may have
  // a megabyte.
  virtual absl::StatusOr<std::optional<v1::SourceCode>> source(const JobId& id,
                                                               bool with_diff) const = 0;

  // What the ranks of the newest attempt run on, as they told; by rank.
  virtual absl::StatusOr<std::vector<ReportedEnvironment>> environments(const JobId& id) const = 0;

  struct ExperimentRow {
    std::string name;
    std::int64_t jobs = 0;
    std::int64_t last_submitted_us = 0;
  };
  // Those that have jobs, deleted runs not counted; newest submission first.
  virtual absl::StatusOr<std::vector<ExperimentRow>> experiments() const = 0;

  // The job of an idempotency key of the last day.
  virtual absl::StatusOr<std::optional<JobId>> submitted(std::string_view key) const = 0;

  // All that have ended, the one that ended first first.
  virtual absl::StatusOr<std::vector<FinishedJob>> finished() const = 0;

  // Deletes a job that has ended with all that belongs to it, in one transaction. Its checkpoints'
  // chunks go with the next collect_dropped(), unless others share them. Returns about how many
  // bytes of chunks that frees. FailedPrecondition when it has not ended.
  virtual absl::StatusOr<std::int64_t> remove(const JobId& id) = 0;

  // Deletes the console output of a job that has ended. Errors as above.
  virtual absl::Status remove_output(const JobId& id) = 0;

  // All but what set_drained() keeps.
  virtual absl::Status upsert_node(const NodeRow& node) = 0;
  // `drained_us` 0 = it takes ranks again. NotFound for a node that has never registered.
  virtual absl::Status set_drained(const NodeId& node, std::int64_t drained_us,
                                   std::string_view reason) = 0;
  // By name.
  virtual absl::StatusOr<std::vector<NodeRow>> nodes() const = 0;
};

}  // namespace lctl::storage
