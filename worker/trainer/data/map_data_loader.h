// torch.utils.data.DataLoader over a map-style data set.
#pragma once

#include <ATen/core/Generator.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "worker/trainer/data/data_loader.h"
#include "worker/trainer/data/dataset.h"
#include "worker/trainer/data/loading/loader_workers.h"
#include "worker/trainer/data/sampler.h"

namespace lctl {

// Collates samples into a batch; any thread.
using CollateFunction = std::function<Batch(std::vector<Batch> samples)>;

// Workers prepare batches ahead as loading/prefetch_iterator.h says. Thread rule: one strand only
// (the training thread); workers are its own.
class MapDataLoader final : public DataLoader {
 public:
  // torch's names and defaults, but for persistent_workers (threads cost little to keep).
  struct Options {
    std::int64_t batch_size = 1;
    bool shuffle = false;
    bool drop_last = false;
    std::int64_t num_workers = 0;            // threads; kAutoWorkers: found by measuring
    std::int64_t prefetch_factor = 2;        // batches ahead per worker
    bool pin_memory = false;                 // matters with CUDA only
    bool persistent_workers = true;          // threads outlive a pass
    std::int64_t prefetch_memory = 0;        // bytes ahead at most; 0 = a quarter of what is free
    std::int64_t pad_to = 0;                 // DistributedShare::pad_to of a distributed sampler
    bool skip_bad_samples = false;           // leave them out and count them; else they are errors
    CollateFunction collate_fn;              // unset = collate()
    std::shared_ptr<Sampler> sampler;        // unset = by `shuffle`
    std::optional<at::Generator> generator;  // for order and base seed; unset = the global one
  };

  // Throws std::invalid_argument for a batch size below 1, negative numbers, and a sampler beside
  // `shuffle`.
  MapDataLoader(std::shared_ptr<const Dataset> dataset, Options options);

  std::unique_ptr<BatchIterator> iterate() override;
  std::optional<std::int64_t> size() const override;
  std::optional<std::int64_t> dataset_length() const override { return dataset_->size(); }
  bool shuffles() const override { return sampler_->shuffles(); }
  bool has_distributed_sampler() const override { return sampler_->is_distributed(); }
  std::shared_ptr<DataLoader> with_distributed_sampler(int world_size, int rank, bool shuffle,
                                                       std::uint64_t seed, bool pad) override;
  std::shared_ptr<DataLoader> with_sequential_sampler() override;
  std::shared_ptr<DataLoader> for_prediction() override;
  const PrefetchOptions* prefetching() const override { return &workers_->options(); }
  std::optional<std::int64_t> batch_size() const override { return options_.batch_size; }
  void fit_to(const LoaderSurroundings& surroundings) override { workers_->fit_to(surroundings); }
  std::optional<LoadingStats> stats() const override { return workers_->stats(); }
  void set_epoch(std::int64_t epoch) override { sampler_->set_epoch(epoch); }

 private:
  MapDataLoader(std::shared_ptr<const Dataset> dataset, Options options,
                std::shared_ptr<Sampler> sampler);

  std::shared_ptr<const Dataset> dataset_;
  Options options_;
  std::shared_ptr<Sampler> sampler_;
  std::shared_ptr<LoaderWorkers> workers_;
};

}  // namespace lctl
