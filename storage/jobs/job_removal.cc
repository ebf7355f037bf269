#include "storage/jobs/job_removal.h"

#include <string>

#include "storage/blobs/checkpoint_rows.h"
#include "storage/tracking/artifact_rows.h"

namespace lctl::storage {
namespace {

constexpr std::int64_t kBytesPerPoint = 15;  // about: docs/formats/store.md

// What a script has kept with its run.
absl::Status remove_artifacts_of(Connection& connection, const JobRow& job, std::int64_t now_us) {
  std::string folder;
  {
    Query query = connection.query(
        "SELECT e.id || '/' || j.id FROM jobs j JOIN experiments e ON e.name = j.experiment"
        " WHERE j.number = ?1");
    query.bind(job.number);
    if (!query.step()) return absl::OkStatus();
    folder = query.text(0);
  }
  const absl::Status removed = remove_artifacts(connection, folder, now_us);
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
}

}  // namespace

absl::StatusOr<std::vector<FinishedJob>> read_finished(Connection& connection) {
  Query query = connection.query(
      "SELECT j.number, j.attempt, j.id, j.name, j.state, j.finished_us,"
      " EXISTS (SELECT 1 FROM job_tags t WHERE t.job = j.number AND t.key = 'keep'"
      "  AND lower(t.value) NOT IN ('false', 'no', '0')),"
      " (SELECT coalesce(sum(c.stored_bytes), 0) FROM checkpoints c WHERE c.job = j.number"
      "  AND c.dropped_us IS NULL),"
      " CASE WHEN EXISTS (SELECT 1 FROM text_chunks x WHERE x.job = j.number)"
      "  THEN (SELECT coalesce(sum(s.committed), 0) FROM streams s WHERE s.job = j.number"
      "   AND s.kind IN (2, 3)) ELSE 0 END,"
      " (SELECT coalesce(sum(b.points), 0) FROM series s JOIN point_blocks b ON b.series = s.id"
      "  WHERE s.job = j.number)"
      " FROM jobs j WHERE j.state IN (?1, ?2, ?3) ORDER BY j.finished_us, j.number");
  query.bind(v1::JOB_STATE_SUCCEEDED, v1::JOB_STATE_FAILED, v1::JOB_STATE_STOPPED);
  std::vector<FinishedJob> jobs;
  while (query.step()) {
    const JobRow row{.number = query.integer(0),
                     .attempt = query.small(1),
                     .state = query.enumeration<v1::JobState>(4)};
    FinishedJob& job = jobs.emplace_back();
    job.id = JobId(std::string(query.text(2)));
    job.name = query.text(3);
    job.state = row.state;
    job.finished_us = query.integer(5);
    job.kept = query.integer(6) != 0;
    job.checkpoint_bytes = query.integer(7);
    job.output_bytes = query.integer(8);
    job.point_bytes = query.integer(9) * kBytesPerPoint;
    LCTL_ASSIGN_OR_RETURN(const std::vector<SpareCheckpoint> spare,
                          spare_checkpoints(connection, row, row.state));
    for (const SpareCheckpoint& checkpoint : spare) {
      job.spare_checkpoint_bytes += checkpoint.stored_bytes;
    }
  }
  return jobs;
}

absl::StatusOr<std::int64_t> delete_job(Connection& connection, const JobRow& job,
                                        std::int64_t now_us) {
  std::vector<std::int64_t> checkpoints;
  std::int64_t bytes = 0;
  {
    Query query = connection.query(
        "SELECT number, stored_bytes FROM checkpoints WHERE job = ?1 AND dropped_us IS NULL");
    query.bind(job.number);
    while (query.step()) {
      checkpoints.push_back(query.integer(0));
      bytes += query.integer(1);
    }
  }
  for (const std::int64_t checkpoint : checkpoints) {
    drop_manifest(connection, checkpoint, now_us);
  }
  LCTL_RETURN_IF_ERROR(remove_artifacts_of(connection, job, now_us));
  // Everything else refers to the job and goes with it (ON DELETE CASCADE).
  connection.query("DELETE FROM jobs WHERE number = ?1").bind(job.number).run();
  return bytes;
}

}  // namespace lctl::storage
