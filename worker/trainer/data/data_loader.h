// Where batches come from.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "worker/trainer/data/batch.h"
#include "worker/trainer/data/loading/loading_stats.h"

namespace lctl {

struct LoaderSurroundings;
struct PrefetchOptions;

// One pass over a loader. Thread rule: one strand only.
class BatchIterator {
 public:
  virtual ~BatchIterator() = default;

  // The next batch, or nothing at the end.
  virtual std::optional<Batch> next() = 0;

  // Passes over `count` batches without making them: draws the same random numbers and leaves the
  // sampler where it would be after `count` calls of next().
  virtual void skip(std::int64_t count) = 0;
};

// Draws from the global generator exactly as torch's DataLoader does: one base seed when an
// iterator is made, one sampler seed at the first index request of a shuffling loader. Thread rule:
// one strand only.
class DataLoader {
 public:
  virtual ~DataLoader() = default;

  virtual std::unique_ptr<BatchIterator> iterate() = 0;

  // Batches in one pass; empty for a loader without length.
  virtual std::optional<std::int64_t> size() const = 0;

  // Samples that it draws from; empty for a loader without length.
  virtual std::optional<std::int64_t> dataset_length() const = 0;

  // Whether its sampler draws a random order.
  virtual bool shuffles() const = 0;
  virtual bool has_distributed_sampler() const = 0;

  // The same loader over a DistributedSampler / a sequential sampler / without drop_last.
  virtual std::shared_ptr<DataLoader> with_distributed_sampler(int world_size, int rank,
                                                               bool shuffle, std::uint64_t seed,
                                                               bool pad) = 0;
  virtual std::shared_ptr<DataLoader> with_sequential_sampler() = 0;
  virtual std::shared_ptr<DataLoader> for_prediction() = 0;

  // Its settings for preparing batches; null for a loader that has none.
  virtual const PrefetchOptions* prefetching() const { return nullptr; }

  // Samples of a batch, where it has that many.
  virtual std::optional<std::int64_t> batch_size() const { return std::nullopt; }

  // The run that it works for: which rank this is, where batches go. Before the first pass.
  virtual void fit_to(const LoaderSurroundings& /*surroundings*/) {}

  // How it is doing; empty for a loader that does not measure.
  virtual std::optional<LoadingStats> stats() const { return std::nullopt; }

  // Passed on to a sampler that has one.
  virtual void set_epoch(std::int64_t epoch) = 0;
};

}  // namespace lctl
