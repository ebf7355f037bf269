#include "storage/jobs/sqlite_job_store.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "storage/jobs/job_reading.h"
#include "storage/jobs/job_removal.h"
#include "storage/jobs/job_rows.h"
#include "storage/jobs/job_search.h"
#include "storage/jobs/job_writing.h"
#include "storage/jobs/provenance.h"
#include "storage/jobs/search_rows.h"
#include "storage/logs/text_log.h"
#include "storage/search/parameters.h"

namespace lctl::storage {
namespace {

constexpr std::int64_t kIdempotencyUs =
    std::chrono::duration_cast<Duration>(std::chrono::hours(24)).count();
constexpr std::size_t kMaxIdempotencyKeyBytes = 64;

// The earlier job of this key, after keys of more than a day ago are forgotten.
std::string submitted_before(Connection& connection, std::string_view key, std::int64_t now_us) {
  connection.query("DELETE FROM submissions WHERE time_us <= ?1")
      .bind(now_us - kIdempotencyUs)
      .run();
  Query query = connection.query(
      "SELECT j.id FROM submissions s JOIN jobs j ON j.number = s.job WHERE s.key = ?1");
  query.bind(key);
  return query.step() ? std::string(query.text(0)) : "";
}

}  // namespace

absl::StatusOr<JobId> SqliteJobStore::create(const JobChange& change, std::string_view key) {
  if (key.size() > kMaxIdempotencyKeyBytes) {
    return absl::InvalidArgumentError(
        fmt::format("the idempotency key has {} bytes; at most {} are allowed", key.size(),
                    kMaxIdempotencyKeyBytes));
  }
  const std::int64_t now_us = unix_micros(clock_.wall_now());
  // Outside of the transaction, for which others wait.
  const std::vector<Parameter> parameters = flatten_config(change.job.spec().config_yaml());
  return database_.write([&](Connection& connection) -> absl::StatusOr<JobId> {
    if (!key.empty()) {
      if (std::string id = submitted_before(connection, key, now_us); !id.empty()) {
        return JobId(std::move(id));
      }
    }
    LCTL_RETURN_IF_ERROR(insert_job(connection, change, parameters));
    if (!key.empty()) {
      connection
          .query(
              "INSERT INTO submissions (key, job, time_us)"
              " VALUES (?1, (SELECT number FROM jobs WHERE id = ?2), ?3)")
          .bind(key, change.job.id(), now_us)
          .run();
    }
    return JobId(change.job.id());
  });
}

absl::Status SqliteJobStore::record(std::span<const JobChange> changes) {
  return database_.write([&](Connection& connection) -> absl::Status {
    for (const JobChange& change : changes) LCTL_RETURN_IF_ERROR(update_job(connection, change));
    return absl::OkStatus();
  });
}

absl::StatusOr<v1::Job> SqliteJobStore::label(const JobId& id, const LabelChange& change) {
  LCTL_RETURN_IF_ERROR(check_change(change));
  return database_.write([&](Connection& connection) -> absl::StatusOr<v1::Job> {
    LCTL_ASSIGN_OR_RETURN(const JobRow row, require_job(connection, id.str()));
    auto tags = apply_change(read_tags(connection, row.number), change);
    if (!tags.ok()) return with_context(tags.status(), fmt::format("job {}", id.str()));
    write_tags(connection, row.number, *tags);
    if (change.note) write_note(connection, row.number, *change.note);
    write_texts(connection, row.number);
    return read_job(connection, row.number);
  });
}

absl::StatusOr<Origin> SqliteJobStore::origin(const JobId& id) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<Origin> {
    LCTL_ASSIGN_OR_RETURN(const JobRow row, require_job(connection, id.str()));
    Query query = connection.query("SELECT origin FROM jobs WHERE number = ?1");
    query.bind(row.number);
    query.step();
    return query.enumeration<Origin>(0);
  });
}

absl::StatusOr<v1::Job> SqliteJobStore::get(const JobId& id) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<v1::Job> {
    LCTL_ASSIGN_OR_RETURN(const JobRow row, require_job(connection, id.str()));
    return read_job(connection, row.number);
  });
}

absl::StatusOr<JobId> SqliteJobStore::resolve(std::string_view reference) const {
  return database_.read([&](Connection& connection) { return resolve_job(connection, reference); });
}

absl::StatusOr<std::vector<v1::Job>> SqliteJobStore::list(const JobFilter& filter) const {
  if (filter.limit < 1) {
    return absl::InvalidArgumentError(
        fmt::format("the limit of a list must be at least 1, it is {}", filter.limit));
  }
  return database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<v1::Job>> {
    LCTL_ASSIGN_OR_RETURN(const std::vector<std::int64_t> numbers, find_jobs(connection, filter));
    std::vector<v1::Job> jobs;
    jobs.reserve(numbers.size());
    for (const std::int64_t number : numbers) {
      LCTL_ASSIGN_OR_RETURN(v1::Job job, read_job(connection, number));
      job.mutable_spec()->clear_config_yaml();
      job.mutable_spec()->clear_tags();
      jobs.push_back(std::move(job));
    }
    return jobs;
  });
}

absl::StatusOr<std::vector<std::vector<FoundValue>>> SqliteJobStore::values(
    std::span<const std::string> jobs, std::span<const SearchKey> keys) const {
  return database_.read(
      [&](Connection& connection) { return find_values(connection, jobs, keys); });
}

absl::StatusOr<std::vector<v1::Attempt>> SqliteJobStore::attempts(const JobId& id) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<v1::Attempt>> {
    LCTL_ASSIGN_OR_RETURN(const JobRow row, require_job(connection, id.str()));
    return read_attempts(connection, row.number);
  });
}

absl::StatusOr<std::vector<v1::Transition>> SqliteJobStore::transitions(const JobId& id) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<v1::Transition>> {
    LCTL_ASSIGN_OR_RETURN(const JobRow row, require_job(connection, id.str()));
    return read_transitions(connection, row.number);
  });
}

absl::StatusOr<std::string> SqliteJobStore::hyperparameters(const JobId& id) const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<std::string> {
    LCTL_ASSIGN_OR_RETURN(const JobRow row, require_job(connection, id.str()));
    Query query = connection.query("SELECT yaml FROM job_hyperparameters WHERE job = ?1");
    query.bind(row.number);
    return query.step() ? std::string(query.text(0)) : std::string();
  });
}

absl::StatusOr<std::optional<v1::SourceCode>> SqliteJobStore::source(const JobId& id,
                                                                     bool with_diff) const {
  return database_.read(
      [&](Connection& connection) -> absl::StatusOr<std::optional<v1::SourceCode>> {
        LCTL_ASSIGN_OR_RETURN(const JobRow row, require_job(connection, id.str()));
        return read_source(connection, row.number, with_diff);
      });
}

absl::StatusOr<std::vector<ReportedEnvironment>> SqliteJobStore::environments(
    const JobId& id) const {
  return database_.read(
      [&](Connection& connection) -> absl::StatusOr<std::vector<ReportedEnvironment>> {
        LCTL_ASSIGN_OR_RETURN(const JobRow row, require_job(connection, id.str()));
        return read_environments(connection, row.number, row.attempt);
      });
}

absl::StatusOr<std::vector<JobStore::ExperimentRow>> SqliteJobStore::experiments() const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<ExperimentRow>> {
    Query query = connection.query(
        "SELECT experiment, count(*), max(submitted_us) AS newest FROM jobs WHERE deleted_us = 0"
        " GROUP BY experiment"
        " ORDER BY newest DESC, experiment");
    std::vector<ExperimentRow> rows;
    while (query.step()) {
      rows.push_back({.name = std::string(query.text(0)),
                      .jobs = query.integer(1),
                      .last_submitted_us = query.integer(2)});
    }
    return rows;
  });
}

absl::StatusOr<std::optional<JobId>> SqliteJobStore::submitted(std::string_view key) const {
  const std::int64_t oldest_us = unix_micros(clock_.wall_now()) - kIdempotencyUs;
  return database_.read([&](Connection& connection) -> absl::StatusOr<std::optional<JobId>> {
    Query query = connection.query(
        "SELECT j.id FROM submissions s JOIN jobs j ON j.number = s.job"
        " WHERE s.key = ?1 AND s.time_us > ?2");
    query.bind(key, oldest_us);
    if (!query.step()) return std::nullopt;
    return JobId(std::string(query.text(0)));
  });
}

absl::StatusOr<std::vector<FinishedJob>> SqliteJobStore::finished() const {
  return database_.read([](Connection& connection) { return read_finished(connection); });
}

absl::StatusOr<std::int64_t> SqliteJobStore::remove(const JobId& id) {
  const std::int64_t now_us = unix_micros(clock_.wall_now());
  return database_.write([&](Connection& connection) -> absl::StatusOr<std::int64_t> {
    LCTL_ASSIGN_OR_RETURN(const JobRow row, require_finished(connection, id));
    return delete_job(connection, row, now_us);
  });
}

absl::Status SqliteJobStore::remove_output(const JobId& id) {
  return database_.write([&](Connection& connection) -> absl::Status {
    LCTL_ASSIGN_OR_RETURN(const JobRow row, require_finished(connection, id));
    remove_chunks(connection, row);
    return absl::OkStatus();
  });
}

absl::Status SqliteJobStore::upsert_node(const NodeRow& node) {
  return database_.write([&](Connection& connection) -> absl::Status {
    connection
        .query(
            "INSERT INTO nodes (id, name, address, version, boot_id, last_seen_us)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE SET name = excluded.name,"
            " address = excluded.address, version = excluded.version, boot_id = excluded.boot_id,"
            " last_seen_us = excluded.last_seen_us")
        .bind(node.id.str(), node.name, node.address, node.version, node.boot_id, node.last_seen_us)
        .run();
    return absl::OkStatus();
  });
}

absl::Status SqliteJobStore::set_drained(const NodeId& node, std::int64_t drained_us,
                                         std::string_view reason) {
  return database_.write([&](Connection& connection) -> absl::Status {
    const std::int64_t changed =
        connection.query("UPDATE nodes SET drained_us = ?2, drain_reason = ?3 WHERE id = ?1")
            .bind(node.str(), drained_us, reason)
            .run();
    if (changed == 1) return absl::OkStatus();
    return absl::NotFoundError(fmt::format("there is no node {}", node.str()));
  });
}

absl::StatusOr<std::vector<NodeRow>> SqliteJobStore::nodes() const {
  return database_.read([&](Connection& connection) -> absl::StatusOr<std::vector<NodeRow>> {
    Query query = connection.query(
        "SELECT id, name, address, version, boot_id, last_seen_us, drained_us, drain_reason"
        " FROM nodes ORDER BY name, id");
    std::vector<NodeRow> rows;
    while (query.step()) {
      rows.push_back({.id = NodeId(std::string(query.text(0))),
                      .name = std::string(query.text(1)),
                      .address = std::string(query.text(2)),
                      .version = std::string(query.text(3)),
                      .boot_id = std::string(query.text(4)),
                      .last_seen_us = query.integer(5),
                      .drained_us = query.integer(6),
                      .drain_reason = std::string(query.text(7))});
    }
    return rows;
  });
}

}  // namespace lctl::storage
