// What people may ask of a job, and a job's beginning. Part of transitions.h.
#include <fmt/format.h>

#include <utility>

#include "server/jobs/transitions.h"

namespace lctl::jobs {

absl::Status stop_refusal(const JobRecord& record) {
  const v1::JobState state = record.job.state();
  if (state != v1::JOB_STATE_SUCCEEDED && state != v1::JOB_STATE_FAILED) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("job {} cannot be stopped: it has {} already", record.job.id(), name_of(state)));
}

absl::Status resume_refusal(const JobRecord& record) {
  const v1::JobState state = record.job.state();
  if (state == v1::JOB_STATE_STOPPED || state == v1::JOB_STATE_FAILED) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "job {} cannot be resumed: it is {}, and only a STOPPED or FAILED job can go on{}",
      record.job.id(), name_of(state),
      state == v1::JOB_STATE_SUCCEEDED ? "; submit it again to train further" : ""));
}

NewJob make_job(v1::JobSpec spec, const JobId& id, std::string submitted_by, Moment now) {
  NewJob made;
  v1::Job& job = made.record.job;
  job.set_id(id.str());
  job.set_state(v1::JOB_STATE_QUEUED);
  job.set_reason("submitted");
  job.set_submitted_us(unix_micros(now.wall));
  job.set_submitted_by(std::move(submitted_by));
  *job.mutable_tags() = spec.tags();
  made.record.spec = std::make_shared<const v1::JobSpec>(std::move(spec));
  made.transition.set_time_us(unix_micros(now.wall));
  made.transition.set_to(v1::JOB_STATE_QUEUED);
  made.transition.set_reason("submitted");
  return made;
}

}  // namespace lctl::jobs
