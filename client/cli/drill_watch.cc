#include "client/cli/drill_watch.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "client/library/client.h"

namespace lctl::cli {

DrillWatch::DrillWatch(const v1::DrillResponse& begun)
    : before_(begun.job()),
      lasts_(std::chrono::milliseconds(begun.duration_ms())),
      reached_(begun.job().progress().global_step()),
      attempt_(begun.job().attempt()) {}

bool DrillWatch::changed(const v1::Job& job, Duration since) {
  const v1::Progress& progress = job.progress();
  const bool same_attempt = job.attempt() == before_.attempt();
  const bool same_state = job.state() == before_.state();
  if (!times_.noticed && (!same_attempt || !same_state || job.reason() != before_.reason())) {
    times_.noticed = since;
  }
  if (job.attempt() != attempt_) {
    attempt_ = job.attempt();
    stale_progress_us_ = progress.time_us();
  }
  if (client::is_final(job.state())) {
    if (same_attempt) reached_ = std::max(reached_, progress.global_step());
    return false;
  }
  if (same_attempt) {
    reached_ = std::max(reached_, progress.global_step());
    if (!same_state || times_.noticed || lasts_ == Duration::zero() || since < lasts_) return true;
    // The fault's time is over, and nothing has come of it.
    if (!step_when_healed_) {
      step_when_healed_ = progress.global_step();
      return true;
    }
    if (progress.global_step() <= *step_when_healed_) return true;
    times_.training_again = times_.caught_up = since;
    return false;
  }
  if (job.state() != v1::JOB_STATE_RUNNING || progress.time_us() <= stale_progress_us_) return true;
  if (!times_.training_again) times_.training_again = since;
  if (progress.global_step() <= reached_) return true;
  times_.caught_up = since;
  return false;
}

std::int64_t lost_points(const std::vector<v1::MetricPoint>& ever,
                         const std::vector<v1::MetricPoint>& curve) {
  std::set<std::int64_t> on_curve;
  for (const v1::MetricPoint& point : curve) on_curve.insert(point.step());
  std::set<std::int64_t> lost;
  for (const v1::MetricPoint& point : ever) {
    if (!on_curve.contains(point.step())) lost.insert(point.step());
  }
  return static_cast<std::int64_t>(lost.size());
}

std::int64_t lost_checkpoints(const std::vector<v1::Checkpoint>& before,
                              const std::vector<v1::Checkpoint>& after) {
  std::int64_t lost = 0;
  for (const v1::Checkpoint& had : before) {
    if (!had.damage().empty()) continue;
    const auto still = std::find_if(after.begin(), after.end(),
                                    [&](const auto& each) { return each.id() == had.id(); });
    if (still != after.end()) {
      lost += still->damage().empty() ? 0 : 1;
      continue;
    }
    // Retention replaces one by newer ones.
    const bool replaced = std::any_of(after.begin(), after.end(), [&](const auto& each) {
      return each.damage().empty() && each.time_us() > had.time_us();
    });
    lost += replaced ? 0 : 1;
  }
  return lost;
}

}  // namespace lctl::cli
