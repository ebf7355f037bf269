// The engine's life and the requests of people. engine_nodes.cc has what nodes report,
// engine_loop.cc what follows.
#include "server/jobs/engine.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "base/log.h"
#include "server/jobs/restart_point.h"
#include "server/jobs/roll_back.h"
#include "storage/blobs/checkpoint_store.h"
#include "storage/jobs/job_store.h"
#include "storage/metrics/event_store.h"

namespace lctl::jobs {
namespace {

spdlog::logger& log() {
  static spdlog::logger& named = logger("jobs");
  return named;
}

constexpr int kJobIdLength = 10;

}  // namespace

absl::StatusOr<std::unique_ptr<JobsEngine>> JobsEngine::open(Options options) {
  std::unique_ptr<JobsEngine> engine(new JobsEngine(options));
  LCTL_RETURN_IF_ERROR(with_context(engine->rebuild(), "reading the jobs from the store"));
  return engine;
}

Moment JobsEngine::now() const {
  return {options_.clock.wall_now(), options_.clock.monotonic_now()};
}

// --- state after a start ---

absl::Status JobsEngine::rebuild() {
  storage::JobFilter filter;
  filter.states = {v1::JOB_STATE_QUEUED, v1::JOB_STATE_STARTING, v1::JOB_STATE_RUNNING,
                   v1::JOB_STATE_STOPPING};
  filter.limit = std::numeric_limits<int>::max();
  filter.origin = storage::Origin::kSubmitted;  // the others run without an engine
  LCTL_ASSIGN_OR_RETURN(const std::vector<storage::NodeRow> nodes, options_.store.jobs().nodes());
  for (const storage::NodeRow& node : nodes) {
    if (node.drained_us == 0) continue;
    cluster_.set_drain(node.id, Drain{node.name, node.drained_us, node.drain_reason});
  }
  LCTL_ASSIGN_OR_RETURN(std::vector<v1::Job> jobs, options_.store.jobs().list(filter));
  const MonotonicTime give_up = now().monotonic + options_.return_allowance;
  for (const v1::Job& job : jobs) {
    LCTL_ASSIGN_OR_RETURN(JobRecord record, load(JobId{job.id()}));
    if (is_active(record.job.state())) {
      for (const v1::RankStatus& rank : record.attempt.ranks()) {
        if (!is_over(rank.state())) awaited_.emplace(rank.node_id(), give_up);
      }
      bool over = true;
      for (const v1::RankStatus& rank : record.attempt.ranks())
        over = over && is_over(rank.state());
      if (over) over_.insert(record.id());
    }
    records_.emplace(record.id(), std::move(record));
  }
  if (!records_.empty()) {
    log().info("{} unfinished jobs in the store; {} nodes hold ranks and are awaited",
               records_.size(), awaited_.size());
  }
  return absl::OkStatus();
}

// What attempts were rolled back for stands in the last words of their ranks.
absl::Status JobsEngine::recall_roll_backs(std::span<const v1::Attempt> attempts, const JobId& id,
                                           JobRecord& record) const {
  for (const v1::Attempt& attempt : attempts) {
    if (attempt.cause() != v1::END_CAUSE_ROLLED_BACK) continue;
    std::vector<std::optional<v1::Finished>> finished;
    for (const v1::RankStatus& rank : attempt.ranks()) {
      LCTL_ASSIGN_OR_RETURN(
          auto result, options_.store.events().rank_result({id, attempt.number()}, rank.rank()));
      if (result) finished.emplace_back(std::move(result->finished));
    }
    const v1::Finished* said = roll_back_of(finished);
    if (said == nullptr) continue;
    remember_skipped(*said, record.skip_batches);
    if (&attempt == &attempts.back()) record.roll_back_before = said->roll_back_before();
  }
  return absl::OkStatus();
}

absl::StatusOr<JobRecord> JobsEngine::load(const JobId& id) const {
  LCTL_ASSIGN_OR_RETURN(v1::Job job, options_.store.jobs().get(id));
  LCTL_ASSIGN_OR_RETURN(const std::vector<v1::Attempt> attempts,
                        options_.store.jobs().attempts(id));
  JobRecord past;
  LCTL_RETURN_IF_ERROR(recall_roll_backs(attempts, id, past));
  std::string newest;
  if (!attempts.empty()) {
    const auto row = options_.store.checkpoints().newest(id, eligible(past));
    if (row.ok()) {
      newest = row->id.str();
    } else if (!absl::IsNotFound(row.status())) {
      return row.status();
    }
  }
  JobRecord record = restore(std::move(job), attempts, newest, now());
  record.roll_back_before = past.roll_back_before;
  record.skip_batches = std::move(past.skip_batches);
  // Needed when a launch must be repeated; the store's attempt keeps only the id.
  if (is_active(record.job.state()) && !record.attempt.resumed_from_checkpoint().empty()) {
    const auto row =
        options_.store.checkpoints().get(CheckpointId{record.attempt.resumed_from_checkpoint()});
    if (row.ok()) record.resume_checkpoint_size = row->written.size();
  }
  return record;
}

// --- requests ---

absl::StatusOr<v1::Job> JobsEngine::submit(v1::JobSpec spec, std::string submitted_by,
                                           const std::string& idempotency_key,
                                           std::optional<v1::SourceCode> source) {
  LCTL_ASSIGN_OR_RETURN(const std::optional<JobId> earlier,
                        options_.store.jobs().submitted(idempotency_key));
  if (earlier) return get(*earlier);  // a repeated call: not one more job
  LCTL_RETURN_IF_ERROR(
      with_context(check_quotas(options_.quotas, records_, submitted_by, spec.experiment()),
                   "the job was not accepted"));
  NewJob made =
      make_job(std::move(spec), JobId{random_id(kJobIdLength)}, std::move(submitted_by), now());
  storage::JobChange change{.job = made.record.job, .transition = made.transition};
  change.source = std::move(source);
  *change.job.mutable_spec() = *made.record.spec;
  const auto created = options_.store.jobs().create(change, idempotency_key);
  if (!created.ok()) return with_context(created.status(), "the job was not accepted");
  log().info("job {} '{}' submitted by {}", created->str(), made.record.spec->name(),
             made.record.job.submitted_by());
  v1::Job job = snapshot(made.record);
  records_.emplace(*created, std::move(made.record));
  reschedule_ = true;
  return job;
}

absl::StatusOr<v1::Job> JobsEngine::stop(const JobId& id, std::optional<Duration> grace,
                                         std::string reason) {
  const auto found = records_.find(id);
  const Duration own = found == records_.end()
                           ? Duration::zero()
                           : std::chrono::milliseconds(found->second.spec->grace_ms());
  return request(id, StopRequested{grace.value_or(own), std::move(reason)}, stop_refusal);
}

absl::StatusOr<v1::Job> JobsEngine::resume(const JobId& id) {
  return request(id, ResumeRequested{}, resume_refusal);
}

absl::StatusOr<v1::Job> JobsEngine::label(const JobId& id, const storage::LabelChange& change) {
  LCTL_ASSIGN_OR_RETURN(v1::Job job, options_.store.jobs().label(id, change));
  if (const auto found = records_.find(id); found != records_.end()) {
    JobRecord& record = found->second;
    *record.job.mutable_tags() = job.tags();
    record.job.set_note(job.note());
    // Else the commit that is under way tells the watchers.
    if (!dirty_.contains(id)) options_.feed.publish(id, [&] { return snapshot(record); });
    add_live(job);
  }
  return job;
}

absl::StatusOr<v1::Job> JobsEngine::request(const JobId& id, const Event& event,
                                            absl::Status (*refusal)(const JobRecord&)) {
  // What came before goes first, so that nothing but this request is undone below.
  LCTL_RETURN_IF_ERROR(with_context(flush(), "the request was not carried out"));
  if (!records_.contains(id)) {
    LCTL_ASSIGN_OR_RETURN(const storage::Origin origin, options_.store.jobs().origin(id));
    if (origin == storage::Origin::kLogged) {
      return absl::FailedPreconditionError(fmt::format(
          "{} is a run that its own script logs through MLflow: lctl neither started it nor can "
          "stop or resume it; end or start the script itself",
          id.str()));
    }
    LCTL_ASSIGN_OR_RETURN(JobRecord loaded, load(id));
    records_.emplace(id, std::move(loaded));
  }
  JobRecord& record = records_.at(id);
  const JobRecord before = record;
  const bool was_over = over_.contains(id);
  absl::Status status = refusal(record);
  if (status.ok()) {
    handle(record, event);
    status = with_context(flush(), "the request was not carried out");
  }
  if (!status.ok()) {
    dirty_.erase(id);
    commands_.clear();
    if (!was_over) over_.erase(id);
    records_.insert_or_assign(id, before);
    if (is_final(before.job.state())) records_.erase(id);
    return status;
  }
  const auto kept = records_.find(id);
  if (kept == records_.end()) return get(id);
  v1::Job job = snapshot(kept->second);
  if (is_final(kept->second.job.state())) records_.erase(kept);  // it was final before
  return job;
}

absl::StatusOr<std::int64_t> JobsEngine::remove(const JobId& id) {
  LCTL_RETURN_IF_ERROR(with_context(flush(), "the request was not carried out"));
  if (const auto found = records_.find(id); found != records_.end()) {
    return absl::FailedPreconditionError(
        fmt::format("job {} is {}: only jobs that have ended are deleted; `lctl stop {}` ends it",
                    id.str(), name_of(found->second.job.state()), id.str()));
  }
  auto bytes = options_.store.jobs().remove(id);
  if (bytes.ok()) log().info("job {} is deleted", id.str());
  return bytes;
}

// --- views ---

v1::Job JobsEngine::snapshot(const JobRecord& record) const {
  v1::Job job = record.job;
  *job.mutable_spec() = *record.spec;
  *job.mutable_progress() = record.progress;
  *job.mutable_ranks() = record.attempt.ranks();
  add_live(job);
  return job;
}

absl::StatusOr<v1::Job> JobsEngine::get(const JobId& id) const {
  if (const auto found = records_.find(id); found != records_.end()) return snapshot(found->second);
  return options_.store.jobs().get(id);
}

void JobsEngine::add_live(v1::Job& job) const {
  if (is_final(job.state())) return;
  const auto found = records_.find(JobId{job.id()});
  if (found == records_.end()) return;
  const JobRecord& record = found->second;
  if (job.state() == v1::JOB_STATE_QUEUED) {
    if (!record.waiting.empty()) job.set_reason(record.waiting);
  } else if (!record.checkpoint_refusal.empty()) {
    job.set_reason(
        fmt::format("{}; its checkpoints wait: {}", job.reason(), record.checkpoint_refusal));
  }
}

EngineView JobsEngine::view(std::size_t max_active) const {
  EngineView view{.counts = counts_, .store_fails = retry_at_.has_value()};
  for (const auto& [id, record] : records_) {
    ++view.unfinished[record.job.state()];
    if (!is_active(record.job.state())) continue;
    if (view.active.size() == max_active) {
      ++view.active_left_out;
      continue;
    }
    view.active.push_back({.id = id,
                           .name = record.spec->name(),
                           .experiment = record.spec->experiment(),
                           .state = record.job.state(),
                           .attempt = record.attempt.number(),
                           .restarts = record.job.restarts(),
                           .progress = record.progress});
  }
  return view;
}

void JobsEngine::progress(const JobId& id, AttemptNumber attempt, const v1::Progress& progress) {
  JobRecord* record = current({id, attempt});
  if (record == nullptr) return;
  record->progress = progress;
  record->reached_step = progress.global_step();
  options_.feed.publish(id, [&] { return snapshot(*record); });
}

void JobsEngine::checkpoint_refused(const JobId& id, std::string why) {
  const auto found = records_.find(id);
  if (found == records_.end() || found->second.checkpoint_refusal == why) return;
  JobRecord& record = found->second;
  if (record.checkpoint_refusal.empty()) {
    log().warn("job {}: its checkpoints wait: {}", id.str(), why);
  }
  record.checkpoint_refusal = std::move(why);
  options_.feed.publish(id, [&] { return snapshot(record); });
}

// --- applying ---

// The job, when that attempt is its current one and has not ended.
JobRecord* JobsEngine::current(const AttemptId& attempt) {
  const auto found = records_.find(attempt.job);
  if (found == records_.end()) return nullptr;
  JobRecord& record = found->second;
  return is_active(record.job.state()) && record.attempt.number() == attempt.number ? &record
                                                                                    : nullptr;
}

void JobsEngine::handle(JobRecord& record, const Event& event) {
  const v1::JobState before = record.job.state();
  const v1::EndCause cause = record.attempt.cause();
  Effects effects = apply(record, event, now());
  if (record.hang_due) {
    hangs_due_[record.id()] = *record.hang_due;
  } else {
    hangs_due_.erase(record.id());
  }
  if (record.attempt.cause() == v1::END_CAUSE_HUNG && cause != v1::END_CAUSE_HUNG) {
    ++counts_.hangs;
  }
  if (effects.changed) {
    std::vector<v1::Transition>& rows = dirty_[record.id()];
    for (v1::Transition& row : effects.transitions) {
      log().info("job {} {} → {} (attempt {}): {}", record.job.id(), name_of(row.from()),
                 name_of(row.to()), row.attempt(), row.reason());
      rows.push_back(std::move(row));
    }
    if (record.job.state() == before && is_ending(record)) {
      log().debug("job {} attempt {}: {}", record.job.id(), record.attempt.number(),
                  record.job.reason());
    }
    reschedule_ = true;
  }
  for (auto& [key, value] : effects.tags) tags_owed_[record.id()][key] = std::move(value);
  for (Command& command : effects.commands) commands_.push_back(std::move(command));
  if (effects.gang_over) over_.insert(record.id());
}

}  // namespace lctl::jobs
