// Owns every job that is not final, and is the only writer of jobs, attempts and transitions in the
// store. It applies events to the state machine (transitions.h), asks the scheduler when something
// changed, and tells nodes what to do.
//
// Order of things, always: apply in memory, commit, act. Nothing is launched, stopped or forgotten,
// and no watcher sees a state, before it is durable. So after a crash the store knows at least as
// much as any node, and nothing is started twice.
//
// After a server start the engine holds what the store says. Jobs with an attempt wait for their
// nodes to register again; a node that does not within `return_allowance` counts as lost.
//
// When the store cannot commit (disk full, locked) the engine keeps its changes, acts on none of
// them, places nothing, and tries again every second. Requests of people get the store's error and
// change nothing.
//
// Thread rule: one strand only. Its owner calls settle() after each batch of calls and when
// next_deadline() has come.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/status.h"
#include "server/jobs/cluster_table.h"
#include "server/jobs/engine_view.h"
#include "server/jobs/growth.h"
#include "server/jobs/job_feed.h"
#include "server/jobs/job_record.h"
#include "server/jobs/launcher.h"
#include "server/jobs/preemption.h"
#include "server/jobs/quotas.h"
#include "server/jobs/transitions.h"
#include "storage/blobs/checkpoint_store.h"
#include "storage/jobs/job_store.h"
#include "storage/store.h"

namespace lctl::jobs {

// A drill that has begun.
struct Drilled {
  v1::Job before;  // the job as it was
  std::int64_t injected_us = 0;
  Duration duration{};
};

class JobsEngine final : public NodeEvents {
 public:
  struct Options {
    const Clock& clock;  // all references outlive the engine
    storage::Store& store;
    Launcher& launcher;
    JobFeed& feed;
    // How long nodes have, after a server start, to register again: a node's own time until it is
    // lost, and some more for its reconnecting.
    Duration return_allowance = std::chrono::seconds(30);
    Quotas quotas = {};
    Preemption preemption = {};
    Growth growth = {};
    // Silence after which a node is lost: a drill's partition lasts a little longer.
    Duration lost_after = std::chrono::seconds(10);
    // Reads a checkpoint in the store, elsewhere than on the strand, and answers with
    // checkpoint_verified(). Unset: what arrives damaged counts as sound in the store.
    std::function<void(const AttemptId&, const CheckpointId&)> verify_checkpoint = {};
  };

  // Rebuilds all state from the store.
  static absl::StatusOr<std::unique_ptr<JobsEngine>> open(Options options);

  // --- requests of people; each returns the job as it is now, durable ---

  // `spec` and `source` have been checked. A key seen within a day returns that submission's job.
  // ResourceExhausted when a quota is used up.
  absl::StatusOr<v1::Job> submit(v1::JobSpec spec, std::string submitted_by,
                                 const std::string& idempotency_key,
                                 std::optional<v1::SourceCode> source = std::nullopt);
  // FailedPrecondition when it has succeeded or failed already; stopping twice is fine.
  absl::StatusOr<v1::Job> stop(const JobId& id, std::optional<Duration> grace, std::string reason);
  // FailedPrecondition unless it is STOPPED or FAILED.
  absl::StatusOr<v1::Job> resume(const JobId& id);
  // Asks the nodes of a job's ranks for their stacks. FailedPrecondition when none runs.
  absl::StatusOr<v1::Job> write_stacks(const JobId& id);
  // Tags and note of a job in any state; errors of JobStore::label().
  absl::StatusOr<v1::Job> label(const JobId& id, const storage::LabelChange& change);

  // One fault on purpose, with the fault's own duration when it has none. Returns when it is on its
  // way: errors of drill_refusal().
  absl::StatusOr<Drilled> drill(const JobId& id, DrillRequested wanted, bool force);

  // Deletes a job with all that belongs to it; about how many bytes of checkpoints that frees.
  // FailedPrecondition when it has not ended.
  absl::StatusOr<std::int64_t> remove(const JobId& id);

  // The node (a name or an id) takes no new ranks; its gangs write a checkpoint within `grace`
  // (nullopt: preemption_grace()) and are placed elsewhere. Durable; also for a node that is away
  // just now. NotFound for one that has never registered. Both return its id.
  absl::StatusOr<NodeId> drain(const std::string& node, std::string reason,
                               std::optional<Duration> grace);
  // And back. Fine for a node that is not drained.
  absl::StatusOr<NodeId> undrain(const std::string& node);

  // --- views ---

  const std::map<NodeId, Drain>& drains() const { return cluster_.drains(); }

  // The job with progress and ranks; from the store when it is final.
  absl::StatusOr<v1::Job> get(const JobId& id) const;
  // Puts what only the engine knows (why a queued job waits) into a job read from the store.
  void add_live(v1::Job& job) const;
  std::map<NodeId, NodeUse> node_use() const { return jobs::node_use(records_); }
  // At most `max_active` jobs one by one.
  EngineView view(std::size_t max_active) const;

  // --- from ingest ---

  void progress(const JobId& id, AttemptNumber attempt, const v1::Progress& progress);

  // The store refuses a checkpoint of the job, and why; "" = it has taken one again. Shown with the
  // job's reason as long as it is active.
  void checkpoint_refused(const JobId& id, std::string why);

  // What the store found when it read a checkpoint; the error when it could not.
  void checkpoint_verified(const AttemptId& attempt, const CheckpointId& checkpoint,
                           const absl::StatusOr<std::string>& damage);
  // The store has taken a checkpoint of the job: a good moment to end it, if it is to grow.
  void checkpoint_committed(const JobId& id);

  // --- from nodes ---

  void node_joined(const NodeInfo& node, std::span<const RankReport> ranks) override;
  void node_unavailable(const NodeId& node) override;
  void node_available(const NodeId& node) override;
  void node_lost(const NodeId& node, const std::string& why) override;
  void rank_reported(const NodeId& node, const RankReport& report) override;
  void rendezvous_ready(const NodeId& node, const AttemptId& attempt, int port) override;
  void launch_failed(const NodeId& node, const AttemptId& attempt, const std::string& reason,
                     bool permanent, const std::string& corrupt_checkpoint) override;
  void device_faults(const NodeId& node, std::span<const DeviceFault> faults) override;
  void log_matched(const NodeId& node, const AttemptId& attempt, int rank, int policy,
                   const std::string& line) override;
  void rank_stalled(const NodeId& node, const RankStall& stall) override;

  // --- the loop ---

  // Commits what has changed, acts on it, and places what fits.
  void settle();
  std::optional<MonotonicTime> next_deadline() const;

 private:
  explicit JobsEngine(Options options) : options_(options) {}

  absl::Status rebuild();
  absl::StatusOr<JobRecord> load(const JobId& id) const;
  Moment now() const;
  JobRecord* current(const AttemptId& attempt);
  v1::Job snapshot(const JobRecord& record) const;

  void handle(JobRecord& record, const Event& event);
  absl::StatusOr<v1::Job> request(const JobId& id, const Event& event,
                                  absl::Status (*refusal)(const JobRecord&));
  void fence(const NodeId& node, const RankReport& report);
  absl::StatusOr<storage::NodeRow> node_named(const std::string& name) const;
  void make_room_on(const NodeId& node, const Drain& drain, std::optional<Duration> grace);
  void leave_faulty_devices(const NodeId& node);

  void expire(MonotonicTime now);
  void conclude_gangs();
  absl::StatusOr<GangOver> gather(const JobRecord& record) const;
  absl::Status recall_roll_backs(std::span<const v1::Attempt> attempts, const JobId& id,
                                 JobRecord& record) const;
  void place();
  std::vector<scheduler::RunningGang> running_gangs();
  Duration time_left(const JobRecord& record, WallTime now) const;
  void preempt(const scheduler::Decision& decision);
  void describe_growth(const JobRecord& record, scheduler::RunningGang& gang);
  bool growth_is_due(const JobRecord& record, MonotonicTime time) const;
  void grow(const scheduler::Decision& decision);
  void wake_in(Duration time);
  void place_one(const scheduler::Placement& placement);
  absl::StatusOr<std::optional<storage::CheckpointRow>> start_of(const JobRecord& record) const;
  absl::StatusOr<int> usable_checkpoints(const JobRecord& record) const;
  void pay_tags();

  std::vector<storage::JobChange> changes_of(const JobId& id) const;
  absl::Status flush();
  absl::Status record_one_by_one();
  void take_from_store(const JobId& id, const absl::Status& why);
  void act();
  void retry_later(std::string_view what, const absl::Status& status);

  const Options options_;
  std::map<JobId, JobRecord> records_;  // not final, or final and not committed yet
  ClusterTable cluster_;
  std::map<JobId, MonotonicTime> hangs_due_;  // JobRecord.hang_due of those that have one
  std::map<NodeId, MonotonicTime> awaited_;   // nodes of restored attempts: when they count as lost

  // Applied and not yet committed: transitions by job (none = other changes only), and what
  // follows.
  std::map<JobId, std::vector<v1::Transition>> dirty_;
  std::vector<Command> commands_;
  std::set<JobId> over_;       // jobs that are owed a GangOver
  std::set<JobId> committed_;  // jobs whose watchers are to be told
  std::map<JobId, std::map<std::string, std::string>> tags_owed_;  // by log policies

  bool reschedule_ = true;
  std::optional<MonotonicTime> wake_at_;   // end of the next back-off
  std::optional<MonotonicTime> retry_at_;  // set while the store fails
  bool alarmed_ = false;                   // that was logged
  EngineCounts counts_;
};

}  // namespace lctl::jobs
