// `lctl drill`: one fault on purpose.
#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "server/jobs/drill.h"
#include "server/jobs/engine.h"
#include "server/jobs/restart_point.h"
#include "storage/blobs/checkpoint_store.h"

namespace lctl::jobs {
namespace {

constexpr Duration kHangTime = std::chrono::seconds(60);
constexpr Duration kBeyondLost = std::chrono::seconds(3);

}  // namespace

// How many checkpoints the job could go on from: 0, 1, or 2 for more.
absl::StatusOr<int> JobsEngine::usable_checkpoints(const JobRecord& record) const {
  storage::Eligible wanted = eligible(record);
  for (int found = 0; found < 2; ++found) {
    const auto row = options_.store.checkpoints().newest(record.id(), wanted);
    if (absl::IsNotFound(row.status())) return found;
    LCTL_RETURN_IF_ERROR(row.status());
    wanted.except.insert(row->id.str());
  }
  return 2;
}

absl::StatusOr<Drilled> JobsEngine::drill(const JobId& id, DrillRequested wanted, bool force) {
  LCTL_RETURN_IF_ERROR(with_context(flush(), "the drill was not begun"));
  const auto found = records_.find(id);
  if (found == records_.end()) {
    LCTL_ASSIGN_OR_RETURN(const v1::Job ended, options_.store.jobs().get(id));
    return absl::FailedPreconditionError(fmt::format(
        "job {} cannot be drilled: it has ended ({}), and a drill needs a job that runs", id.str(),
        name_of(ended.state())));
  }
  JobRecord& record = found->second;
  LCTL_ASSIGN_OR_RETURN(const int checkpoints, usable_checkpoints(record));
  LCTL_RETURN_IF_ERROR(drill_refusal(record, wanted.fault, wanted.rank, checkpoints, force,
                                     options_.clock.monotonic_now()));
  if (wanted.fault == Fault::kHang && wanted.duration == Duration::zero()) {
    wanted.duration = kHangTime;
  }
  if (wanted.fault == Fault::kPartition && wanted.duration == Duration::zero()) {
    wanted.duration = options_.lost_after + kBeyondLost;
  }
  Drilled drilled{.before = snapshot(record),
                  .injected_us = unix_micros(now().wall),
                  .duration = wanted.duration};
  logger("jobs").info("job {}: drill, {} of rank {}", id.str(), name_of(wanted.fault), wanted.rank);
  handle(record, wanted);
  return drilled;
}

}  // namespace lctl::jobs
