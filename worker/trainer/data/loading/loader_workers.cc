#include "worker/trainer/data/loading/loader_workers.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "worker/trainer/core/console.h"

namespace lctl {
namespace {

constexpr std::int64_t kDefaultBytesAhead = 1LL << 30;  // where the system tells nothing
constexpr std::size_t kDecisionsKept = 16;
constexpr std::int64_t kMostWorkers = 64;

double seconds(MonotonicTime from, MonotonicTime to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

std::int64_t available_cpus() {
  cpu_set_t mine;
  CPU_ZERO(&mine);
  return sched_getaffinity(0, sizeof mine, &mine) == 0 ? CPU_COUNT(&mine) : 1;
}

void check(const PrefetchOptions& options) {
  if (options.num_workers < 0 && options.num_workers != kAutoWorkers) {
    throw std::invalid_argument(
        "num_workers option should be non-negative; use num_workers=0 to "
        "load in the training thread");
  }
  if (options.prefetch_factor < 1)
    throw std::invalid_argument("prefetch_factor option should be at least 1");
  if (options.prefetch_memory < 0)
    throw std::invalid_argument("prefetch_memory option should be non-negative");
}

LoaderWorkers::LoaderWorkers(PrefetchOptions options) : options_(options) {
  check(options_);
  stats_.tuned = options_.num_workers == kAutoWorkers;
  stats_.workers = options_.num_workers;
}

void LoaderWorkers::fit_to(LoaderSurroundings surroundings) {
  surroundings_ = std::move(surroundings);
  if (options_.pin_memory) batch_memory_ = surroundings_.pinned_memory;
  bytes_limit_ = 0;
}

std::int64_t LoaderWorkers::count() {
  if (options_.num_workers != kAutoWorkers) return options_.num_workers;
  if (!tuner_) {
    const std::int64_t cpus =
        std::max<std::int64_t>(1, available_cpus() / surroundings_.local_world_size);
    tuner_.emplace(WorkerTuner::Limits{
        .start = std::min<std::int64_t>(cpus, 8),
        .highest = std::min(std::max<std::int64_t>(cpus * 4, 16), kMostWorkers)});
    stats_.workers = tuner_->workers();
  }
  return tuner_->workers();
}

std::shared_ptr<WorkerPool> LoaderWorkers::pool() {
  if (pool_ == nullptr) pool_ = std::make_shared<WorkerPool>(static_cast<std::size_t>(count()));
  return pool_;
}

void LoaderWorkers::release() {
  if (!options_.persistent_workers) pool_.reset();
}

std::int64_t LoaderWorkers::bytes_ahead_limit() {
  if (bytes_limit_ == 0) {
    bytes_limit_ = options_.prefetch_memory;
    if (bytes_limit_ == 0) {
      const auto memory = surroundings_.memory();
      bytes_limit_ =
          memory ? std::max<std::int64_t>(1, memory->available / 4 / surroundings_.local_world_size)
                 : kDefaultBytesAhead;
    }
  }
  return bytes_limit_;
}

void LoaderWorkers::handed_out(MonotonicTime asked, MonotonicTime got, std::int64_t bytes) {
  ++stats_.batches;
  const double waited = seconds(asked, got);
  stats_.waited_seconds += waited;
  if (!window_) {
    window_ = OpenWindow{got, got, 0, 0.0};
    return;
  }
  stats_.total_seconds += seconds(window_->newest, got);
  window_->newest = got;
  ++window_->batches;
  window_->waited += waited;
  if (tuner_ && tuner_->enough(seconds(window_->start, got), window_->batches)) tune(bytes);
}

void LoaderWorkers::tune(std::int64_t bytes) {
  WorkerTuner::Window window;
  window.seconds = seconds(window_->start, window_->newest);
  window.waited_seconds = window_->waited;
  window.batches = window_->batches;
  if (const auto memory = surroundings_.memory()) {
    window.memory_available = memory->available;
    window.memory_reserve = memory->limit / 10;
  }
  window.bytes_per_worker = bytes * options_.prefetch_factor;
  *window_ = OpenWindow{window_->newest, window_->newest, 0, 0.0};
  const std::int64_t before = tuner_->workers();
  const auto change = tuner_->observe(window);
  if (!change) return;
  stats_.workers = change->workers;
  if (pool_ != nullptr) pool_->resize(static_cast<std::size_t>(change->workers));
  if (stats_.decisions.size() == kDecisionsKept) stats_.decisions.erase(stats_.decisions.begin());
  stats_.decisions.push_back(
      {surroundings_.clock->wall_now(), before, change->workers, change->reason});
  console::info(
      fmt::format("Loader workers: {} -> {}, {}.", before, change->workers, change->reason));
}

LoadingStats LoaderWorkers::stats() const {
  LoadingStats stats = stats_;
  stats.skipped_samples = skipped_.count();
  return stats;
}

}  // namespace lctl
