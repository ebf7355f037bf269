#include "storage/jobs/job_writing.h"

#include <fmt/format.h>

#include <optional>

#include "storage/jobs/job_rows.h"
#include "storage/jobs/provenance.h"
#include "storage/jobs/search_rows.h"

namespace lctl::storage {

void use_experiment(Connection& connection, const std::string& name, std::int64_t now_us) {
  if (name.empty()) return;
  connection
      .query(
          "UPDATE jobs SET deleted_us = 0 WHERE experiment = ?1 AND deleted_us > 0 AND deleted_us ="
          " (SELECT deleted_us FROM experiments WHERE name = ?1)")
      .bind(name)
      .run();
  connection
      .query(
          "INSERT INTO experiments (name, created_us, updated_us, deleted_us, tags)"
          " VALUES (?1, ?2, ?2, 0, '{}') ON CONFLICT (name) DO UPDATE SET deleted_us = 0,"
          " updated_us = excluded.updated_us WHERE deleted_us > 0")
      .bind(name, now_us)
      .run();
}

void append_transition(Connection& connection, std::int64_t job, const v1::Transition& transition) {
  connection
      .query(
          "INSERT INTO transitions (job, ordinal, time_us, from_state, to_state, attempt, reason)"
          " VALUES (?1, 1 + coalesce((SELECT max(ordinal) FROM transitions WHERE job = ?1), 0),"
          " ?2, ?3, ?4, ?5, ?6)")
      .bind(job, transition.time_us(), transition.from(), transition.to(), transition.attempt(),
            transition.reason())
      .run();
}

namespace {

absl::Status write_attempt(Connection& connection, std::int64_t job, const v1::Attempt& attempt) {
  std::optional<std::int64_t> resumed_from;
  if (!attempt.resumed_from_checkpoint().empty()) {
    Query query = connection.query("SELECT number FROM checkpoints WHERE id = ?1 AND job = ?2");
    query.bind(attempt.resumed_from_checkpoint(), job);
    if (!query.step()) {
      return absl::NotFoundError(
          fmt::format("attempt {} resumes from checkpoint '{}', which the job does not have",
                      attempt.number(), attempt.resumed_from_checkpoint()));
    }
    resumed_from = query.integer(0);
  }
  std::optional<std::int64_t> culprit;
  if (attempt.has_culprit()) culprit = attempt.culprit();
  connection
      .query(
          "INSERT INTO attempts (job, number, started_us, finished_us, outcome, reason,"
          " resumed_from, resumed_at_step, cause, culprit, ended_at_step, blamed_node)"
          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
          " ON CONFLICT (job, number) DO UPDATE SET started_us = excluded.started_us,"
          " finished_us = excluded.finished_us, outcome = excluded.outcome,"
          " reason = excluded.reason, resumed_from = excluded.resumed_from,"
          " resumed_at_step = excluded.resumed_at_step, cause = excluded.cause,"
          " culprit = excluded.culprit, ended_at_step = excluded.ended_at_step,"
          " blamed_node = excluded.blamed_node")
      .bind(job, attempt.number(), attempt.started_us(), attempt.finished_us(), attempt.outcome(),
            attempt.reason(), resumed_from, attempt.resumed_at_step(), attempt.cause(), culprit,
            attempt.ended_at_step(), attempt.blamed_node())
      .run();
  connection.query("DELETE FROM ranks WHERE job = ?1 AND attempt = ?2")
      .bind(job, attempt.number())
      .run();
  for (const v1::RankStatus& rank : attempt.ranks()) {
    connection.query("INSERT INTO ranks (job, attempt, rank, status) VALUES (?1, ?2, ?3, ?4)")
        .bind(job, attempt.number(), rank.rank(), Blob{rank.SerializeAsString()})
        .run();
  }
  return absl::OkStatus();
}

void write_excluded_nodes(Connection& connection, std::int64_t job, const v1::Job& state) {
  connection.query("DELETE FROM job_excluded_nodes WHERE job = ?1").bind(job).run();
  for (const v1::ExcludedNode& node : state.excluded_nodes()) {
    connection
        .query("INSERT INTO job_excluded_nodes (job, node, name, reason) VALUES (?1, ?2, ?3, ?4)")
        .bind(job, node.node_id(), node.node_name(), node.reason())
        .run();
  }
}

absl::Status write_history(Connection& connection, std::int64_t number, const JobChange& change) {
  if (change.transition) append_transition(connection, number, *change.transition);
  if (change.attempt) {
    return with_context(write_attempt(connection, number, *change.attempt),
                        fmt::format("job {}", change.job.id()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status insert_job(Connection& connection, const JobChange& change,
                        std::span<const Parameter> parameters) {
  const v1::Job& job = change.job;
  if (job.id().empty()) return absl::InvalidArgumentError("a job needs an id");
  if (find_job(connection, job.id())) {
    return absl::AlreadyExistsError(fmt::format("there is a job {} already", job.id()));
  }
  std::int64_t number = 0;
  {
    Query query = connection.query(
        "INSERT INTO jobs (id, name, experiment, state, attempt, restarts, reason, submitted_us,"
        " started_us, finished_us, submitted_by, origin)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) RETURNING number");
    query.bind(job.id(), job.spec().name(), job.spec().experiment(), job.state(), job.attempt(),
               job.restarts(), job.reason(), job.submitted_us(), job.started_us(),
               job.finished_us(), job.submitted_by(), change.origin);
    query.step();
    number = query.integer(0);
    query.run();
  }
  use_experiment(connection, job.spec().experiment(), job.submitted_us());
  connection.query("INSERT INTO job_specs (job, spec) VALUES (?1, ?2)")
      .bind(number, Blob{job.spec().SerializeAsString()})
      .run();
  write_parameters(connection, number, ParameterSource::kConfig, parameters);
  write_tags(connection, number, Tags(job.spec().tags().begin(), job.spec().tags().end()));
  write_texts(connection, number);
  if (change.source) write_source(connection, number, *change.source);
  return write_history(connection, number, change);
}

absl::Status update_job(Connection& connection, const JobChange& change) {
  const v1::Job& job = change.job;
  LCTL_ASSIGN_OR_RETURN(const JobRow row, require_job(connection, job.id()));
  if (job.attempt() < row.attempt) {
    return absl::FailedPreconditionError(
        fmt::format("job {}: its attempt number cannot go back from {} to {}", job.id(),
                    row.attempt, job.attempt()));
  }
  connection
      .query(
          "UPDATE jobs SET state = ?2, attempt = ?3, restarts = ?4, reason = ?5, submitted_us = ?6,"
          " started_us = ?7, finished_us = ?8, submitted_by = ?9, retries_cancelled = ?10"
          " WHERE number = ?1")
      .bind(row.number, job.state(), job.attempt(), job.restarts(), job.reason(),
            job.submitted_us(), job.started_us(), job.finished_us(), job.submitted_by(),
            job.retries_cancelled())
      .run();
  write_excluded_nodes(connection, row.number, job);
  return write_history(connection, row.number, change);
}

}  // namespace lctl::storage
