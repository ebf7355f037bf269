#include "storage/tracking/experiment_rows.h"

#include <fmt/format.h>

#include "storage/jobs/job_writing.h"
#include "storage/jobs/search_rows.h"
#include "storage/jobs/texts.h"
#include "storage/tracking/selecting.h"
#include "storage/tracking/text_map.h"

namespace lctl::storage {
namespace {

constexpr std::int64_t kMicrosOfMilli = 1'000;

// From a row of (id, name, created_us, updated_us, deleted_us, tags).
Experiment experiment_of(const Query& query) {
  return {.id = query.integer(0),
          .name = std::string(query.text(1)),
          .created_us = query.integer(2),
          .updated_us = query.integer(3),
          .deleted = query.integer(4) > 0,
          .tags = unpack_map(query.text(5))};
}

absl::Status check_not_default(std::int64_t id, std::string_view what) {
  if (id != kDefaultExperiment) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "the default experiment cannot be {}: runs that name no experiment need it", what));
}

std::int64_t unfinished_jobs(Connection& connection, const std::string& experiment) {
  Query query = connection.query(
      "SELECT count(*) FROM jobs WHERE experiment = ?1 AND origin = 0 AND state IN (?2, ?3, ?4,"
      " ?5)");
  query.bind(experiment, v1::JOB_STATE_QUEUED, v1::JOB_STATE_STARTING, v1::JOB_STATE_RUNNING,
             v1::JOB_STATE_STOPPING);
  query.step();
  return query.integer(0);
}

absl::Status check_idle(Connection& connection, const Experiment& experiment,
                        std::string_view what) {
  const std::int64_t jobs = unfinished_jobs(connection, experiment.name);
  if (jobs == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("experiment {} ('{}') cannot be {} while {} of its jobs are queued or running; "
                  "wait for them or stop them first",
                  experiment.id, experiment.name, what, jobs));
}

}  // namespace

std::vector<std::string_view> experiment_attributes() {
  return {"name", "experiment_id", "creation_time", "last_update_time"};
}

FoundValue value_of(const Experiment& experiment, const SearchKey& key) {
  if (key.kind == SearchKey::Kind::kTag) return found_in(experiment.tags, key.name);
  if (key.name == "name") return found_text(experiment.name);
  if (key.name == "experiment_id") return found_text(std::to_string(experiment.id));
  if (key.name == "creation_time") return found_number(experiment.created_us / kMicrosOfMilli);
  if (key.name == "last_update_time") return found_number(experiment.updated_us / kMicrosOfMilli);
  return {};
}

absl::StatusOr<Experiment> read_experiment(Connection& connection, std::int64_t id) {
  Query query = connection.query(
      "SELECT id, name, created_us, updated_us, deleted_us, tags FROM experiments WHERE id = ?1");
  query.bind(id);
  if (query.step()) return experiment_of(query);
  return absl::NotFoundError(fmt::format("there is no experiment with the id {}", id));
}

absl::StatusOr<Experiment> read_experiment_named(Connection& connection, std::string_view name) {
  Query query = connection.query(
      "SELECT id, name, created_us, updated_us, deleted_us, tags FROM experiments WHERE name = ?1");
  query.bind(name);
  if (query.step()) return experiment_of(query);
  return absl::NotFoundError(fmt::format("there is no experiment with the name '{}'", shown(name)));
}

std::vector<Experiment> read_experiments(Connection& connection, Lifecycle lifecycle) {
  Query query = connection.query(
      "SELECT id, name, created_us, updated_us, deleted_us, tags FROM experiments"
      " ORDER BY created_us DESC, id DESC");
  std::vector<Experiment> all;
  while (query.step()) {
    const bool deleted = query.integer(4) > 0;
    if (lifecycle == Lifecycle::kAll || deleted == (lifecycle == Lifecycle::kDeleted)) {
      all.push_back(experiment_of(query));
    }
  }
  return all;
}

absl::StatusOr<std::int64_t> insert_experiment(Connection& connection, const std::string& name,
                                               const Tags& tags, std::int64_t now_us) {
  LCTL_RETURN_IF_ERROR(check_line("the experiment's name", name, kMaxExperimentNameBytes));
  LCTL_RETURN_IF_ERROR(check_change({.tags = tags, .removed_tags = {}, .note = {}}));
  LCTL_ASSIGN_OR_RETURN(const Tags checked,
                        apply_change({}, {.tags = tags, .removed_tags = {}, .note = {}}));
  if (const auto known = read_experiment_named(connection, name); known.ok()) {
    return absl::AlreadyExistsError(
        fmt::format("experiment '{}' exists already (id {}){}", shown(name), known->id,
                    known->deleted ? " and was deleted: restore it, or choose another name" : ""));
  }
  Query query = connection.query(
      "INSERT INTO experiments (name, created_us, updated_us, deleted_us, tags)"
      " VALUES (?1, ?2, ?2, 0, ?3) RETURNING id");
  query.bind(name, now_us, pack_map(checked));
  query.step();
  const std::int64_t id = query.integer(0);
  query.run();
  return id;
}

absl::Status write_experiment_deleted(Connection& connection, std::int64_t id, bool deleted,
                                      std::int64_t now_us) {
  LCTL_ASSIGN_OR_RETURN(const Experiment experiment, read_experiment(connection, id));
  if (deleted) LCTL_RETURN_IF_ERROR(check_not_default(id, "deleted"));
  if (experiment.deleted == deleted) return absl::OkStatus();
  if (deleted) LCTL_RETURN_IF_ERROR(check_idle(connection, experiment, "deleted"));
  if (!deleted) {
    use_experiment(connection, experiment.name, now_us);
    return absl::OkStatus();
  }
  connection.query("UPDATE experiments SET deleted_us = ?2, updated_us = ?2 WHERE id = ?1")
      .bind(id, now_us)
      .run();
  connection.query("UPDATE jobs SET deleted_us = ?2 WHERE experiment = ?1 AND deleted_us = 0")
      .bind(experiment.name, now_us)
      .run();
  return absl::OkStatus();
}

absl::Status write_experiment_name(Connection& connection, std::int64_t id, const std::string& name,
                                   std::int64_t now_us) {
  LCTL_RETURN_IF_ERROR(check_line("the experiment's name", name, kMaxExperimentNameBytes));
  LCTL_ASSIGN_OR_RETURN(const Experiment experiment, read_experiment(connection, id));
  if (experiment.name == name) return absl::OkStatus();
  LCTL_RETURN_IF_ERROR(check_not_default(id, "renamed"));
  if (experiment.deleted) {
    return absl::FailedPreconditionError(
        fmt::format("experiment {} was deleted; restore it before it is renamed", id));
  }
  LCTL_RETURN_IF_ERROR(check_idle(connection, experiment, "renamed"));
  if (const auto known = read_experiment_named(connection, name); known.ok()) {
    return absl::AlreadyExistsError(
        fmt::format("experiment '{}' exists already (id {})", shown(name), known->id));
  }
  connection.query("UPDATE experiments SET name = ?2, updated_us = ?3 WHERE id = ?1")
      .bind(id, name, now_us)
      .run();
  std::vector<std::int64_t> jobs;
  {
    Query query =
        connection.query("UPDATE jobs SET experiment = ?2 WHERE experiment = ?1 RETURNING number");
    query.bind(experiment.name, name);
    while (query.step()) jobs.push_back(query.integer(0));
  }
  for (const std::int64_t job : jobs) write_texts(connection, job);
  return absl::OkStatus();
}

absl::Status write_experiment_tag(Connection& connection, std::int64_t id, const std::string& key,
                                  const std::optional<std::string>& value, std::int64_t now_us) {
  LCTL_ASSIGN_OR_RETURN(const Experiment experiment, read_experiment(connection, id));
  LabelChange change;
  if (value) {
    change.tags.emplace(key, *value);
  } else {
    change.removed_tags.push_back(key);
  }
  LCTL_RETURN_IF_ERROR(check_change(change));
  auto tags = apply_change(experiment.tags, change);
  if (!tags.ok()) return with_context(tags.status(), fmt::format("experiment {}", id));
  connection.query("UPDATE experiments SET tags = ?2, updated_us = ?3 WHERE id = ?1")
      .bind(id, pack_map(*tags), now_us)
      .run();
  return absl::OkStatus();
}

}  // namespace lctl::storage
