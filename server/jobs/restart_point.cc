#include "server/jobs/restart_point.h"

#include <cmath>

namespace lctl::jobs {
namespace {

bool is_scored(const v1::CheckpointWritten& written) {
  return written.kind() == v1::CHECKPOINT_KIND_MODEL && !written.is_last() &&
         !written.monitor().empty() && written.mode() != v1::MONITOR_MODE_UNSPECIFIED;
}

// For two scores of one metric.
bool is_better(const v1::CheckpointWritten& a, const v1::CheckpointWritten& b) {
  if (std::isnan(a.score()) || std::isnan(b.score())) {
    return !std::isnan(a.score());
  }
  return a.mode() == v1::MONITOR_MODE_MAX ? a.score() > b.score() : a.score() < b.score();
}

bool may_go_on_from(const storage::CheckpointRow& row, const storage::Eligible& eligible) {
  return row.damage.empty() && !eligible.except.contains(row.id.str()) &&
         row.written.global_step() < eligible.before_step;
}

}  // namespace

storage::Eligible eligible(const JobRecord& record) {
  storage::Eligible eligible{.except = record.passed_over};
  if (record.roll_back_before) eligible.before_step = *record.roll_back_before;
  return eligible;
}

RestartPoint restart_point(const JobRecord& record) {
  if (record.job.attempt() == 0 || record.spec->restart_from() == v1::RESTART_FROM_NONE) {
    return RestartPoint::kBeginning;
  }
  // A resume has set the restarts to 0.
  const bool after_failure =
      record.attempt.outcome() == outcome::kFailed && record.job.restarts() > 0;
  return after_failure && record.spec->restart_from() == v1::RESTART_FROM_BEST
             ? RestartPoint::kBest
             : RestartPoint::kNewest;
}

const storage::CheckpointRow* best_checkpoint(std::span<const storage::CheckpointRow> checkpoints,
                                              const storage::Eligible& eligible) {
  const storage::CheckpointRow* best = nullptr;
  for (auto row = checkpoints.rbegin(); row != checkpoints.rend(); ++row) {
    const v1::CheckpointWritten& written = row->written;
    if (!is_scored(written) || !may_go_on_from(*row, eligible)) continue;
    if (best == nullptr) {
      best = &*row;
    } else if (written.monitor() == best->written.monitor() &&
               written.mode() == best->written.mode() && is_better(written, best->written)) {
      best = &*row;
    }
  }
  return best;
}

}  // namespace lctl::jobs
