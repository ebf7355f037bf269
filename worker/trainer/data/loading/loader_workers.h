// What a loader keeps from pass to pass: its threads, its tuner, its numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/batch_builder.h"
#include "worker/trainer/data/loading/loading_stats.h"
#include "worker/trainer/data/loading/memory_headroom.h"
#include "worker/trainer/data/loading/worker_pool.h"
#include "worker/trainer/data/loading/worker_tuner.h"

namespace lctl {

// num_workers of a loader that finds the number itself.
inline constexpr std::int64_t kAutoWorkers = -1;

// How batches are prepared; the names are torch's, but for the last two.
struct PrefetchOptions {
  std::int64_t num_workers = 0;      // threads; 0 = the training thread, kAutoWorkers = tuned
  std::int64_t prefetch_factor = 2;  // batches ahead per worker
  bool pin_memory = false;           // batches in memory that the device reads directly
  bool persistent_workers = true;    // threads outlive a pass
  std::int64_t prefetch_memory = 0;  // bytes of batches ahead; 0 = a quarter of what is free
  bool skip_bad_samples = false;     // on_bad_sample: skip
};

// Processors that this process may use.
std::int64_t available_cpus();

// Throws std::invalid_argument for negative numbers, in torch's words.
void check(const PrefetchOptions& options);

// The run that a loader works for.
struct LoaderSurroundings {
  int rank = 0;
  int world_size = 1;
  int local_world_size = 1;   // ranks that share this machine
  BatchMemory pinned_memory;  // null = there is no need for it
  std::function<std::optional<MemoryHeadroom>()> memory = [] { return memory_headroom(); };
  const Clock* clock = &system_clock();
};

// Thread rule: one strand only (the training thread), but for skipped().
class LoaderWorkers {
 public:
  explicit LoaderWorkers(PrefetchOptions options);

  // Before the first pass: how many threads auto means depends on it.
  void fit_to(LoaderSurroundings surroundings);

  // Threads for a pass; 0 = none are wanted.
  std::int64_t count();
  std::shared_ptr<WorkerPool> pool();
  // After a pass.
  void release();

  // The training thread, which helps, counts as one more.
  std::int64_t batches_ahead() { return (count() + 1) * options_.prefetch_factor; }
  std::int64_t bytes_ahead_limit();

  // Where batches are to lie.
  const BatchMemory& batch_memory() const { return batch_memory_; }
  // Null when a bad sample is an error.
  SkippedSamples* skipped() { return options_.skip_bad_samples ? &skipped_ : nullptr; }

  // The pass has handed out one more batch of `bytes`, for which training waited. May change the
  // number of threads.
  void handed_out(MonotonicTime asked, MonotonicTime got, std::int64_t bytes);
  // A new pass begins: the time since the last batch was no training on batches of this loader.
  void pass_begins() { window_.reset(); }
  void set_bytes_ahead(std::int64_t bytes) { stats_.bytes_ahead = bytes; }

  MonotonicTime now() const { return surroundings_.clock->monotonic_now(); }
  LoadingStats stats() const;
  const PrefetchOptions& options() const { return options_; }

 private:
  struct OpenWindow {
    MonotonicTime start;
    MonotonicTime newest;
    std::int64_t batches = 0;
    double waited = 0;
  };

  void tune(std::int64_t bytes);

  PrefetchOptions options_;
  LoaderSurroundings surroundings_;
  BatchMemory batch_memory_;
  std::optional<WorkerTuner> tuner_;
  std::shared_ptr<WorkerPool> pool_;
  std::int64_t bytes_limit_ = 0;  // 0 = not known yet
  std::optional<OpenWindow> window_;
  LoadingStats stats_;
  SkippedSamples skipped_;
};

}  // namespace lctl
