#include "storage/jobs/job_reading.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "proto/lctl/v1/event.pb.h"
#include "storage/jobs/search_rows.h"

namespace lctl::storage {
namespace {

constexpr int kMaxCandidates = 8;

template <typename Message>
bool parse(std::string_view bytes, Message& message) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

std::string text_of(std::string_view view) { return std::string(view); }

// "id (name), id (name)" of the rows of a query over (id, name).
std::string candidates(Query& query) {
  std::vector<std::string> entries;
  while (query.step()) entries.push_back(fmt::format("{} ({})", query.text(0), query.text(1)));
  if (entries.size() > kMaxCandidates) entries.back() = "…";
  return fmt::format("{}", fmt::join(entries, ", "));
}

absl::Status no_such_job(Connection& connection, std::string_view reference) {
  Query query = connection.query(
      "SELECT id, name FROM jobs WHERE deleted_us = 0"
      " ORDER BY number DESC LIMIT ?1");
  query.bind(kMaxCandidates + 1);
  std::string newest = candidates(query);
  newest = newest.empty() ? "the store has no jobs yet" : "the newest are " + newest;
  return absl::NotFoundError(fmt::format("there is no job '{}': {}", reference, newest));
}

// From a row of (status, ready, finished). An unreadable part counts as not reported.
v1::RankStatus rank_of(const Query& query) {
  v1::RankStatus rank;
  parse(query.blob(0), rank);
  if (v1::RankReady ready; !query.is_null(1) && parse(query.blob(1), ready) && rank.pid() == 0) {
    rank.set_pid(ready.pid());
  }
  if (v1::Finished finished; !query.is_null(2) && parse(query.blob(2), finished)) {
    if (!finished.message().empty()) rank.set_message(finished.message());
    if (!finished.parameters_sha256().empty()) {
      rank.set_parameters_sha256(finished.parameters_sha256());
    }
  }
  return rank;
}

void read_excluded_nodes(Connection& connection, std::int64_t number, v1::Job& job) {
  Query query = connection.query(
      "SELECT node, name, reason FROM job_excluded_nodes WHERE job = ?1 ORDER BY name, node");
  query.bind(number);
  while (query.step()) {
    v1::ExcludedNode& node = *job.add_excluded_nodes();
    node.set_node_id(text_of(query.text(0)));
    node.set_node_name(text_of(query.text(1)));
    node.set_reason(text_of(query.text(2)));
  }
}

}  // namespace

absl::StatusOr<v1::Job> read_job(Connection& connection, std::int64_t number) {
  v1::Job job;
  {
    Query query = connection.query(
        "SELECT j.id, j.state, j.attempt, j.restarts, j.reason, j.submitted_us, j.started_us,"
        " j.finished_us, j.submitted_by, s.spec, p.progress, j.name, j.experiment,"
        " j.retries_cancelled FROM jobs j"
        " JOIN job_specs s ON s.job = j.number LEFT JOIN job_progress p ON p.job = j.number"
        " WHERE j.number = ?1");
    query.bind(number);
    if (!query.step()) return absl::DataLossError(fmt::format("job row {} has no spec", number));
    job.set_id(text_of(query.text(0)));
    job.set_state(query.enumeration<v1::JobState>(1));
    job.set_attempt(query.small(2));
    job.set_restarts(query.small(3));
    job.set_reason(text_of(query.text(4)));
    job.set_submitted_us(query.integer(5));
    job.set_started_us(query.integer(6));
    job.set_finished_us(query.integer(7));
    job.set_submitted_by(text_of(query.text(8)));
    if (!parse(query.blob(9), *job.mutable_spec()) ||
        (!query.is_null(10) && !parse(query.blob(10), *job.mutable_progress()))) {
      return absl::DataLossError(fmt::format(
          "job {}: its stored spec or progress is damaged; restore the store from a backup",
          job.id()));
    }
    // Those of the submission may have been renamed since.
    job.mutable_spec()->set_name(text_of(query.text(11)));
    job.mutable_spec()->set_experiment(text_of(query.text(12)));
    job.set_retries_cancelled(text_of(query.text(13)));
  }
  read_excluded_nodes(connection, number, job);
  const Tags tags = read_tags(connection, number);
  job.mutable_tags()->insert(tags.begin(), tags.end());
  job.set_note(read_note(connection, number));
  for (v1::RankStatus& rank : read_ranks(connection, number, job.attempt())) {
    *job.add_ranks() = std::move(rank);
  }
  return job;
}

std::vector<v1::RankStatus> read_ranks(Connection& connection, std::int64_t job,
                                       AttemptNumber attempt) {
  Query query = connection.query(
      "SELECT r.status, p.ready, p.finished FROM ranks r"
      " LEFT JOIN rank_reports p ON p.job = r.job AND p.attempt = r.attempt AND p.rank = r.rank"
      " WHERE r.job = ?1 AND r.attempt = ?2 ORDER BY r.rank");
  query.bind(job, attempt);
  std::vector<v1::RankStatus> ranks;
  while (query.step()) ranks.push_back(rank_of(query));
  return ranks;
}

std::vector<v1::Attempt> read_attempts(Connection& connection, std::int64_t job) {
  std::vector<v1::Attempt> attempts;
  {
    Query query = connection.query(
        "SELECT a.number, a.started_us, a.finished_us, a.outcome, a.reason, c.id,"
        " a.resumed_at_step, a.cause, a.culprit, a.ended_at_step, a.blamed_node FROM attempts a"
        " LEFT JOIN checkpoints c ON c.number = a.resumed_from"
        " WHERE a.job = ?1 ORDER BY a.number");
    query.bind(job);
    while (query.step()) {
      v1::Attempt& attempt = attempts.emplace_back();
      attempt.set_number(query.small(0));
      attempt.set_started_us(query.integer(1));
      attempt.set_finished_us(query.integer(2));
      attempt.set_outcome(text_of(query.text(3)));
      attempt.set_reason(text_of(query.text(4)));
      attempt.set_resumed_from_checkpoint(text_of(query.text(5)));
      attempt.set_resumed_at_step(query.integer(6));
      attempt.set_cause(query.enumeration<v1::EndCause>(7));
      if (!query.is_null(8)) attempt.set_culprit(query.small(8));
      attempt.set_ended_at_step(query.integer(9));
      attempt.set_blamed_node(text_of(query.text(10)));
    }
  }
  for (v1::Attempt& attempt : attempts) {
    for (v1::RankStatus& rank : read_ranks(connection, job, attempt.number())) {
      *attempt.add_ranks() = std::move(rank);
    }
  }
  return attempts;
}

std::vector<v1::Transition> read_transitions(Connection& connection, std::int64_t job) {
  Query query = connection.query(
      "SELECT time_us, from_state, to_state, attempt, reason FROM transitions WHERE job = ?1"
      " ORDER BY ordinal");
  query.bind(job);
  std::vector<v1::Transition> transitions;
  while (query.step()) {
    v1::Transition& transition = transitions.emplace_back();
    transition.set_time_us(query.integer(0));
    transition.set_from(query.enumeration<v1::JobState>(1));
    transition.set_to(query.enumeration<v1::JobState>(2));
    transition.set_attempt(query.small(3));
    transition.set_reason(text_of(query.text(4)));
  }
  return transitions;
}

absl::StatusOr<JobId> resolve_job(Connection& connection, std::string_view reference) {
  if (reference.empty()) {
    return absl::InvalidArgumentError(
        "no job was named: give its id, a prefix of its id, its name, or @last");
  }
  {
    Query exact = connection.query(
        "SELECT id FROM (SELECT id, number, 0 AS place FROM jobs WHERE ?1 = '@last'"
        " AND deleted_us = 0"
        " UNION ALL SELECT id, number, 1 FROM jobs WHERE id = ?1"
        " UNION ALL SELECT id, number, 2 FROM jobs WHERE name = ?1 AND deleted_us = 0)"
        " ORDER BY place, number DESC LIMIT 1");
    exact.bind(reference);
    if (exact.step()) return JobId(text_of(exact.text(0)));
  }
  // Ids are made of a-z and 2-7, so '~' sorts behind every continuation of the prefix.
  Query prefixed = connection.query(
      "SELECT id, name FROM jobs WHERE id >= ?1 AND id < ?2 AND deleted_us = 0"
      " ORDER BY number DESC LIMIT ?3");
  prefixed.bind(reference, fmt::format("{}~", reference), kMaxCandidates + 1);
  if (!prefixed.step()) return no_such_job(connection, reference);
  const std::string first = text_of(prefixed.text(0));
  const std::string first_name = text_of(prefixed.text(1));
  const std::string others = candidates(prefixed);
  if (others.empty()) return JobId(first);
  return absl::InvalidArgumentError(
      fmt::format("'{}' is the beginning of several jobs' ids: {} ({}), {}; give more characters",
                  reference, first, first_name, others));
}

}  // namespace lctl::storage
