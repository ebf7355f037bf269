#include "storage/blobs/checkpoint_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proto/lctl/v1/job.pb.h"
#include "storage/blobs/sha256.h"
#include "storage/jobs/lineage.h"

namespace lctl::storage {
namespace {

constexpr int kDefaultKeepLast = 2;

absl::StatusOr<v1::Retention> retention_of(Connection& connection, std::int64_t job) {
  Query query = connection.query("SELECT spec FROM job_specs WHERE job = ?1");
  query.bind(job);
  v1::JobSpec spec;
  if (!query.step() ||
      !spec.ParseFromArray(query.blob(0).data(), static_cast<int>(query.blob(0).size()))) {
    return absl::DataLossError(fmt::format("the stored spec of job row {} is damaged", job));
  }
  v1::Retention retention = spec.retention();
  if (retention.keep_last() <= 0) retention.set_keep_last(kDefaultKeepLast);
  return retention;
}

std::optional<std::int64_t> resumed_by_unfinished_attempt(Connection& connection,
                                                          const JobRow& job) {
  Query query = connection.query(
      "SELECT resumed_from FROM attempts WHERE job = ?1 AND number = ?2 AND finished_us = 0");
  query.bind(job.number, job.attempt);
  if (!query.step() || query.is_null(0)) return std::nullopt;
  return query.integer(0);
}

// ModelCheckpoint's checkpoints that their callback removed, or wrote again, soundly, under the
// same name.
void add_outdated(Connection& connection, const JobRow& job, std::set<std::int64_t>& numbers) {
  Query model = connection.query(
      "SELECT c.number FROM checkpoints c WHERE c.job = ?1 AND c.kind = ?2"
      " AND c.dropped_us IS NULL AND (c.removed = 1 OR EXISTS (SELECT 1 FROM checkpoints n"
      " WHERE n.job = c.job AND n.name = c.name AND n.kind = c.kind AND n.dropped_us IS NULL"
      " AND n.damage = ''"
      " AND (n.attempt, n.spool_offset, n.number) > (c.attempt, c.spool_offset, c.number)))");
  model.bind(job.number, v1::CHECKPOINT_KIND_MODEL);
  while (model.step()) numbers.insert(model.integer(0));
}

absl::StatusOr<v1::CheckpointWritten> parse_written(std::int64_t number, std::string_view bytes) {
  v1::CheckpointWritten written;
  if (written.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return written;
  return absl::DataLossError(
      fmt::format("the stored report of checkpoint row {} is damaged", number));
}

// Recovery and stop checkpoints behind the newest `keep_last` sound ones, but (with keep_every) for
// the first sound one that is at or past each multiple of so many steps.
absl::Status add_old(Connection& connection, const JobRow& job, const v1::Retention& retention,
                     std::set<std::int64_t>& numbers) {
  struct Saved {
    std::int64_t number = 0;
    bool sound = true;
  };
  std::vector<Saved> all;  // oldest first
  std::set<std::int64_t> milestones;
  std::int64_t reached = 0;  // multiples of keep_every
  Query recovery = connection.query(
      "SELECT number, written, damage = '' FROM checkpoints WHERE job = ?1 AND kind <> ?2"
      " AND dropped_us IS NULL ORDER BY attempt, spool_offset, number");
  recovery.bind(job.number, v1::CHECKPOINT_KIND_MODEL);
  while (recovery.step()) {
    all.push_back({recovery.integer(0), recovery.integer(2) != 0});
    const Saved& saved = all.back();
    if (retention.keep_every() <= 0 || !saved.sound) continue;
    LCTL_ASSIGN_OR_RETURN(const v1::CheckpointWritten written,
                          parse_written(saved.number, recovery.blob(1)));
    const std::int64_t multiple = written.global_step() / retention.keep_every();
    if (multiple > reached) milestones.insert(saved.number);
    reached = std::max(reached, multiple);
  }
  int newer = 0;  // sound ones
  for (auto saved = all.rbegin(); saved != all.rend(); ++saved) {
    if (newer >= retention.keep_last() && !milestones.contains(saved->number)) {
      numbers.insert(saved->number);
    }
    if (saved->sound) ++newer;
  }
  return absl::OkStatus();
}

// Of each monitored metric all but the best `keep_best` by score; of equal ones the newer are
// better, and a score that is no number is the worst. Those without a score, and last.ckpt, are no
// candidates.
absl::Status add_not_best(Connection& connection, const JobRow& job, int keep_best,
                          std::set<std::int64_t>& numbers) {
  struct Scored {
    double badness = 0;
    std::int64_t number = 0;
    bool sound = true;
  };
  std::map<std::pair<std::string, v1::MonitorMode>, std::vector<Scored>> candidates;
  Query query = connection.query(
      "SELECT number, written, damage = '' FROM checkpoints WHERE job = ?1 AND kind = ?2"
      " AND dropped_us IS NULL AND removed = 0"
      " ORDER BY attempt DESC, spool_offset DESC, number DESC");
  query.bind(job.number, v1::CHECKPOINT_KIND_MODEL);
  while (query.step()) {
    LCTL_ASSIGN_OR_RETURN(const v1::CheckpointWritten written,
                          parse_written(query.integer(0), query.blob(1)));
    if (written.is_last() || written.monitor().empty() ||
        written.mode() == v1::MONITOR_MODE_UNSPECIFIED || numbers.contains(query.integer(0))) {
      continue;
    }
    const double score =
        written.mode() == v1::MONITOR_MODE_MAX ? -written.score() : written.score();
    candidates[{written.monitor(), written.mode()}].push_back(
        {std::isnan(score) ? std::numeric_limits<double>::infinity() : score, query.integer(0),
         query.integer(2) != 0});
  }
  for (auto& [metric, scored] : candidates) {
    std::stable_sort(scored.begin(), scored.end(),
                     [](const Scored& a, const Scored& b) { return a.badness < b.badness; });
    int better = 0;  // sound ones
    for (const Scored& one : scored) {
      if (better >= keep_best) numbers.insert(one.number);
      if (one.sound) ++better;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::set<std::int64_t>> no_longer_kept(Connection& connection, const JobRow& job,
                                                      const v1::Retention& retention) {
  std::set<std::int64_t> numbers;
  add_outdated(connection, job, numbers);
  LCTL_RETURN_IF_ERROR(add_old(connection, job, retention, numbers));
  if (retention.keep_best() > 0) {
    LCTL_RETURN_IF_ERROR(add_not_best(connection, job, retention.keep_best(), numbers));
  }
  return numbers;
}

}  // namespace

absl::StatusOr<CheckpointRow> read_checkpoint(Connection& connection, std::string_view id) {
  Query query = connection.query(
      "SELECT j.id, c.attempt, c.written, c.time_us, c.sha256, c.stored_bytes, c.dropped_us,"
      " c.damage"
      " FROM checkpoints c JOIN jobs j ON j.number = c.job WHERE c.id = ?1");
  query.bind(id);
  if (!query.step()) return absl::NotFoundError(fmt::format("there is no checkpoint '{}'", id));
  CheckpointRow row;
  row.id = CheckpointId(std::string(id));
  row.attempt = {JobId(std::string(query.text(0))), query.small(1)};
  if (!row.written.ParseFromArray(query.blob(2).data(), static_cast<int>(query.blob(2).size()))) {
    return absl::DataLossError(
        fmt::format("checkpoint {}: its row is damaged; restore the store from a backup", id));
  }
  row.time_us = query.integer(3);
  row.sha256 = to_hex(query.blob(4));
  row.stored_bytes = query.integer(5);
  row.damage = std::string(query.text(7));
  if (!query.is_null(6)) {
    return absl::NotFoundError(fmt::format(
        "checkpoint {} ({}) is no longer kept: it was {}", id, row.written.name(),
        row.written.kind() == v1::CHECKPOINT_KIND_MODEL
            ? "removed by its callback, written anew, or not among the job's retention.keep_best"
            : "replaced by newer ones"));
  }
  return row;
}

absl::StatusOr<std::optional<std::int64_t>> newest_checkpoint(Connection& connection,
                                                              const JobRow& job,
                                                              const Eligible& eligible) {
  const Lineage lineage = Lineage::load(connection, job);
  Query query = connection.query(
      "SELECT number, attempt, spool_offset, id, written FROM checkpoints"
      " WHERE job = ?1 AND rank = 0 AND dropped_us IS NULL AND damage = ''"
      " ORDER BY attempt DESC, spool_offset DESC, number DESC");
  query.bind(job.number);
  while (query.step()) {
    if (!lineage.holds_checkpoint(query.small(1), query.offset(2)) ||
        eligible.except.contains(std::string(query.text(3)))) {
      continue;
    }
    if (eligible.before_step != std::numeric_limits<std::int64_t>::max()) {
      LCTL_ASSIGN_OR_RETURN(const v1::CheckpointWritten written,
                            parse_written(query.integer(0), query.blob(4)));
      if (written.global_step() >= eligible.before_step) continue;
    }
    return query.integer(0);
  }
  return std::nullopt;
}

absl::Status mark_removed(Connection& connection, const JobRow& job, AttemptNumber attempt,
                          std::uint64_t spool_offset, std::string_view name, std::int64_t now_us) {
  connection
      .query(
          "INSERT INTO checkpoint_removals (job, name, attempt, spool_offset)"
          " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (job, name) DO UPDATE SET"
          " attempt = excluded.attempt, spool_offset = excluded.spool_offset"
          " WHERE (excluded.attempt, excluded.spool_offset) > (attempt, spool_offset)")
      .bind(job.number, name, attempt, spool_offset)
      .run();
  connection
      .query(
          "UPDATE checkpoints SET removed = 1 WHERE job = ?1 AND name = ?2 AND kind = ?3"
          " AND (attempt, spool_offset) <= (?4, ?5)")
      .bind(job.number, name, v1::CHECKPOINT_KIND_MODEL, attempt, spool_offset)
      .run();
  return apply_retention(connection, job, now_us);
}

absl::Status apply_retention(Connection& connection, const JobRow& job, std::int64_t now_us) {
  LCTL_ASSIGN_OR_RETURN(const v1::Retention retention, retention_of(connection, job.number));
  LCTL_ASSIGN_OR_RETURN(const std::set<std::int64_t> outdated,
                        no_longer_kept(connection, job, retention));
  LCTL_ASSIGN_OR_RETURN(const std::optional<std::int64_t> newest,
                        newest_checkpoint(connection, job));
  const std::optional<std::int64_t> resumed = resumed_by_unfinished_attempt(connection, job);
  for (const std::int64_t number : outdated) {
    if (number == newest || number == resumed) continue;
    drop_manifest(connection, number, now_us);
  }
  return absl::OkStatus();
}

void drop_manifest(Connection& connection, std::int64_t number, std::int64_t now_us) {
  connection
      .query(
          "INSERT INTO dropped_chunks (sha256, dropped_us)"
          " SELECT DISTINCT sha256, ?2 FROM manifest_chunks WHERE checkpoint = ?1"
          " ON CONFLICT (sha256) DO UPDATE SET dropped_us = excluded.dropped_us")
      .bind(number, now_us)
      .run();
  connection.query("DELETE FROM manifest_chunks WHERE checkpoint = ?1").bind(number).run();
  connection.query("UPDATE checkpoints SET dropped_us = ?2 WHERE number = ?1")
      .bind(number, now_us)
      .run();
}

absl::StatusOr<std::vector<SpareCheckpoint>> spare_checkpoints(Connection& connection,
                                                               const JobRow& job,
                                                               v1::JobState state) {
  std::vector<SpareCheckpoint> all;
  std::set<std::int64_t> kept;
  std::set<std::string> best_found;  // metrics whose newest best one is found
  Query query = connection.query(
      "SELECT number, written, stored_bytes, damage = '' FROM checkpoints WHERE job = ?1"
      " AND dropped_us IS NULL ORDER BY attempt DESC, spool_offset DESC, number DESC");
  query.bind(job.number);
  while (query.step()) {
    const std::int64_t number = query.integer(0);
    all.push_back({number, query.integer(2)});
    if (query.integer(3) == 0) continue;
    v1::CheckpointWritten written;
    // What cannot be read is not judged.
    if (!written.ParseFromArray(query.blob(1).data(), static_cast<int>(query.blob(1).size())) ||
        written.is_last() || (written.is_best() && best_found.insert(written.monitor()).second)) {
      kept.insert(number);
    }
  }
  LCTL_ASSIGN_OR_RETURN(const std::optional<std::int64_t> newest,
                        newest_checkpoint(connection, job));
  if (newest && (kept.empty() || state != v1::JOB_STATE_SUCCEEDED)) kept.insert(*newest);
  if (kept.empty() && !all.empty()) kept.insert(all.front().number);
  std::erase_if(all, [&](const SpareCheckpoint& one) { return kept.contains(one.number); });
  return all;
}

}  // namespace lctl::storage
