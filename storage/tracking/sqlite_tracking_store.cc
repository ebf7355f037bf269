#include "storage/tracking/sqlite_tracking_store.h"

#include <fmt/format.h>

#include <utility>

#include "storage/jobs/job_search.h"
#include "storage/jobs/job_writing.h"
#include "storage/jobs/search_rows.h"
#include "storage/jobs/texts.h"
#include "storage/tracking/experiment_rows.h"
#include "storage/tracking/run_logging.h"
#include "storage/tracking/run_rows.h"
#include "storage/tracking/selecting.h"

namespace lctl::storage {
namespace {

constexpr int kRunIdLength = 10;  // as of jobs: they share one space
constexpr std::size_t kMaxUserBytes = 256;
constexpr const char* kReason = "logged by its own script through MLflow";

absl::Status check_new_run(const NewRun& run) {
  LCTL_RETURN_IF_ERROR(check_line("the run's name", run.name, kMaxRunNameBytes));
  LCTL_RETURN_IF_ERROR(check_text("the user's name", run.user, kMaxUserBytes));
  LCTL_RETURN_IF_ERROR(check_change({.tags = run.tags, .removed_tags = {}, .note = run.note}));
  return apply_change({}, {.tags = run.tags, .removed_tags = {}, .note = {}}).status();
}

// The change that makes the run's job.
JobChange first_change(const NewRun& run, const std::string& experiment, std::int64_t now_us) {
  JobChange change{
      .job = {}, .transition = v1::Transition(), .attempt = {}, .origin = Origin::kLogged};
  v1::Job& job = change.job;
  job.set_id(random_id(kRunIdLength));
  job.mutable_spec()->set_name(run.name);
  job.mutable_spec()->set_experiment(experiment);
  job.mutable_spec()->mutable_tags()->insert(run.tags.begin(), run.tags.end());
  job.set_state(v1::JOB_STATE_RUNNING);
  job.set_attempt(1);
  job.set_reason(kReason);
  job.set_submitted_us(now_us);
  job.set_started_us(run.start_us > 0 ? run.start_us : now_us);
  job.set_submitted_by(run.user);
  change.transition->set_time_us(now_us);
  change.transition->set_to(v1::JOB_STATE_RUNNING);
  change.transition->set_attempt(1);
  change.transition->set_reason(kReason);
  return change;
}

bool is_over(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_STOPPED;
}

absl::Status check_active(const RunRow& run, const JobId& id) {
  if (!run.deleted) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("run {} was deleted; restore it before it is changed", id.str()));
}

void write_state(Connection& connection, const RunRow& run, v1::JobState state,
                 std::int64_t now_us) {
  if (run.state == state) return;
  connection.query("UPDATE jobs SET state = ?2 WHERE number = ?1").bind(run.job, state).run();
  v1::Transition transition;
  transition.set_time_us(now_us);
  transition.set_from(run.state);
  transition.set_to(state);
  transition.set_attempt(1);
  transition.set_reason(kReason);
  append_transition(connection, run.job, transition);
}

// When it ended: as told, or now that it is over, or 0 since it goes on.
std::optional<std::int64_t> end_of(const RunUpdate& update, std::int64_t now_us) {
  if (update.end_us && *update.end_us > 0) return *update.end_us;
  if (!update.state) return std::nullopt;
  return is_over(*update.state) ? now_us : 0;
}

}  // namespace

absl::StatusOr<std::int64_t> SqliteTrackingStore::create_experiment(const std::string& name,
                                                                    const Tags& tags) {
  return database_.write(
      [&](Connection& connection) { return insert_experiment(connection, name, tags, now_us()); });
}

absl::StatusOr<Experiment> SqliteTrackingStore::experiment(std::int64_t id) const {
  return database_.read([&](Connection& connection) { return read_experiment(connection, id); });
}

absl::StatusOr<Experiment> SqliteTrackingStore::experiment_named(std::string_view name) const {
  return database_.read(
      [&](Connection& connection) { return read_experiment_named(connection, name); });
}

absl::StatusOr<std::vector<Experiment>> SqliteTrackingStore::experiments(
    Lifecycle lifecycle, const Filter& where, const std::vector<Order>& order) const {
  LCTL_ASSIGN_OR_RETURN(
      std::vector<Experiment> all,
      database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<Experiment>> {
        return read_experiments(connection, lifecycle);
      }));
  return select_from(std::move(all), where, order, [](const Experiment& one, const SearchKey& key) {
    return value_of(one, key);
  });
}

absl::Status SqliteTrackingStore::set_experiment_deleted(std::int64_t id, bool deleted) {
  return database_.write([&](Connection& connection) {
    return write_experiment_deleted(connection, id, deleted, now_us());
  });
}

absl::Status SqliteTrackingStore::rename_experiment(std::int64_t id, const std::string& name) {
  return database_.write([&](Connection& connection) {
    return write_experiment_name(connection, id, name, now_us());
  });
}

absl::Status SqliteTrackingStore::tag_experiment(std::int64_t id, const std::string& key,
                                                 const std::optional<std::string>& value) {
  return database_.write([&](Connection& connection) {
    return write_experiment_tag(connection, id, key, value, now_us());
  });
}

absl::StatusOr<Run> SqliteTrackingStore::create_run(const NewRun& run) {
  LCTL_RETURN_IF_ERROR(check_new_run(run));
  return database_.write([&](Connection& connection) -> absl::StatusOr<Run> {
    LCTL_ASSIGN_OR_RETURN(const Experiment experiment, read_experiment(connection, run.experiment));
    if (experiment.deleted) {
      return absl::FailedPreconditionError(
          fmt::format("experiment {} ('{}') was deleted; restore it, or log into another",
                      experiment.id, experiment.name));
    }
    const JobChange change = first_change(run, experiment.name, now_us());
    LCTL_RETURN_IF_ERROR(insert_job(connection, change, {}));
    LCTL_ASSIGN_OR_RETURN(const RunRow row, require_run(connection, change.job.id()));
    if (!run.note.empty()) {
      write_note(connection, row.job, run.note);
      write_texts(connection, row.job);
    }
    return read_run(connection, row.job);
  });
}

absl::StatusOr<Run> SqliteTrackingStore::run(const JobId& id) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<Run> {
    LCTL_ASSIGN_OR_RETURN(const RunRow row, require_run(connection, id.str()));
    return read_run(connection, row.job);
  });
}

absl::StatusOr<RunPlace> SqliteTrackingStore::place(const JobId& id) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<RunPlace> {
    LCTL_ASSIGN_OR_RETURN(const RunRow row, require_run(connection, id.str()));
    return RunPlace{.experiment = row.experiment, .origin = row.origin};
  });
}

absl::StatusOr<std::vector<Run>> SqliteTrackingStore::runs(const RunFilter& filter) const {
  if (filter.limit < 1) {
    return absl::InvalidArgumentError(
        fmt::format("the limit of a search must be at least 1, it is {}", filter.limit));
  }
  return database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<Run>> {
    JobFilter jobs{.lifecycle = filter.lifecycle,
                   .limit = filter.limit,
                   .before = filter.before,
                   .where = filter.where,
                   .order = filter.order,
                   .search = {}};
    for (const std::int64_t id : filter.experiments) {
      LCTL_ASSIGN_OR_RETURN(Experiment experiment, read_experiment(connection, id));
      jobs.experiments.push_back(std::move(experiment.name));
    }
    std::vector<Run> runs;
    if (jobs.experiments.empty()) return runs;
    LCTL_ASSIGN_OR_RETURN(const std::vector<std::int64_t> numbers, find_jobs(connection, jobs));
    runs.reserve(numbers.size());
    for (const std::int64_t number : numbers) {
      LCTL_ASSIGN_OR_RETURN(Run run, read_run(connection, number));
      runs.push_back(std::move(run));
    }
    return runs;
  });
}

absl::StatusOr<Run> SqliteTrackingStore::update_run(const JobId& id, const RunUpdate& update) {
  if (update.name) {
    LCTL_RETURN_IF_ERROR(check_line("the run's name", *update.name, kMaxRunNameBytes));
  }
  return database_.write([&](Connection& connection) -> absl::StatusOr<Run> {
    LCTL_ASSIGN_OR_RETURN(const RunRow run, require_logged_run(connection, id.str()));
    LCTL_RETURN_IF_ERROR(check_active(run, id));
    if (update.name) {
      connection.query("UPDATE jobs SET name = ?2 WHERE number = ?1")
          .bind(run.job, *update.name)
          .run();
      write_texts(connection, run.job);
    }
    if (update.state) write_state(connection, run, *update.state, now_us());
    if (const auto end_us = end_of(update, now_us())) {
      connection.query("UPDATE jobs SET finished_us = ?2 WHERE number = ?1")
          .bind(run.job, *end_us)
          .run();
    }
    return read_run(connection, run.job);
  });
}

absl::Status SqliteTrackingStore::set_run_deleted(const JobId& id, bool deleted) {
  return database_.write([&](Connection& connection) -> absl::Status {
    LCTL_ASSIGN_OR_RETURN(const RunRow run, require_logged_run(connection, id.str()));
    if (run.deleted == deleted) return absl::OkStatus();
    connection.query("UPDATE jobs SET deleted_us = ?2 WHERE number = ?1")
        .bind(run.job, deleted ? now_us() : 0)
        .run();
    return absl::OkStatus();
  });
}

absl::Status SqliteTrackingStore::log(const JobId& id, const RunBatch& batch) {
  LCTL_RETURN_IF_ERROR(check_batch(batch));
  return database_.write([&](Connection& connection) -> absl::Status {
    LCTL_ASSIGN_OR_RETURN(const RunRow run, require_logged_run(connection, id.str()));
    LCTL_RETURN_IF_ERROR(check_active(run, id));
    return apply_batch(connection, id, run.job, batch);
  });
}

}  // namespace lctl::storage
