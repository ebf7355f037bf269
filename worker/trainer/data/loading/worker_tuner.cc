#include "worker/trainer/data/loading/worker_tuner.h"

#include <fmt/format.h>

#include <algorithm>

namespace lctl {
namespace {

constexpr double kNoticeableWait = 0.03;  // share of the time; less is not worth a thread
constexpr double kGain = 1.05;            // more workers must bring so much
constexpr double kAsGood = 0.97;          // fewer workers may cost so much
constexpr double kFallen = 0.75;          // of the settled speed: look again
constexpr std::int64_t kRoomAgain = 2;    // times the reserve: memory is no concern any more

double mebibytes(std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

}  // namespace

std::optional<WorkerTuner::Change> WorkerTuner::change_to(std::int64_t workers,
                                                          std::string reason) {
  if (workers == workers_) return std::nullopt;
  workers_ = workers;
  settling_ = true;
  return Change{workers, std::move(reason)};
}

std::optional<WorkerTuner::Change> WorkerTuner::for_memory(const Window& window) {
  if (!window.memory_available) return std::nullopt;
  if (*window.memory_available >= kRoomAgain * window.memory_reserve && low_on_memory_) {
    low_on_memory_ = false;
    highest_ = limits_.highest;
    settled_ = false;
    speed_.clear();
  }
  if (*window.memory_available >= window.memory_reserve || workers_ == 1) return std::nullopt;
  // What fails here would fail again, until there is clearly more room.
  low_on_memory_ = true;
  highest_ = workers_ / 2;
  settled_ = true;
  return change_to(
      highest_, fmt::format("memory runs low: {:.0f} MiB are left, {:.0f} MiB should be",
                            mebibytes(*window.memory_available), mebibytes(window.memory_reserve)));
}

std::optional<WorkerTuner::Change> WorkerTuner::settle(const std::string& reason) {
  settled_ = true;
  double best = 0;
  for (const auto& [workers, speed] : speed_) best = std::max(best, speed);
  const auto fewest = std::find_if(speed_.begin(), speed_.end(), [&](const auto& measured) {
    return measured.second >= kAsGood * best;
  });
  return change_to(fewest->first, reason);
}

std::optional<WorkerTuner::Change> WorkerTuner::observe(const Window& window) {
  if (settling_) {
    settling_ = false;
    return std::nullopt;
  }
  if (auto change = for_memory(window)) return change;
  const double speed = static_cast<double>(window.batches) / window.seconds;
  const double waiting = window.waited_seconds / window.seconds;
  if (settled_) {
    const auto known = speed_.find(workers_);
    const bool fell = known != speed_.end() && speed < kFallen * known->second;
    if (!fell || waiting < kNoticeableWait) return std::nullopt;
    settled_ = false;
    speed_.clear();
  }
  const bool first = speed_.empty();
  double best_before = 0;
  for (const auto& [workers, measured] : speed_) best_before = std::max(best_before, measured);
  speed_[workers_] = speed;
  if (!first && speed < kGain * best_before)
    return settle(fmt::format("{} workers bring {:.1f} batches a second, no more than before",
                              workers_, speed));
  if (waiting < kNoticeableWait) {
    settled_ = true;
    return std::nullopt;
  }
  std::int64_t more = std::min(highest_, workers_ * 2);
  if (window.memory_available && window.bytes_per_worker > 0) {
    const std::int64_t fit =
        (*window.memory_available - window.memory_reserve) / window.bytes_per_worker;
    more = std::min(more, workers_ + fit);
  }
  if (more <= workers_) return settle("there is no room for more workers");
  return change_to(more,
                   fmt::format("training waits for data {:.0f}% of the time at {:.1f} batches "
                               "a second",
                               100 * waiting, speed));
}

}  // namespace lctl
