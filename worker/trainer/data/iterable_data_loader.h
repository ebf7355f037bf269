// torch.utils.data.DataLoader over an iterable data set.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "worker/trainer/data/data_loader.h"
#include "worker/trainer/data/iterable_dataset.h"
#include "worker/trainer/data/loading/loader_workers.h"

namespace lctl {

// The data set splits itself over the ranks, so no sampler replaces its order. Workers make the
// samples of a batch; the order of the batches is the stream's, whatever their number. Thread rule:
// one strand only (the training thread); workers are its own.
class IterableDataLoader final : public DataLoader {
 public:
  struct Options {
    std::int64_t batch_size = 1;
    bool drop_last = false;
    PrefetchOptions prefetch;
  };

  // Throws std::invalid_argument for a batch size below 1 and negative numbers.
  IterableDataLoader(std::shared_ptr<const IterableDataset> dataset, Options options);

  std::unique_ptr<BatchIterator> iterate() override;
  std::optional<std::int64_t> size() const override;
  std::optional<std::int64_t> dataset_length() const override;
  bool shuffles() const override { return dataset_->shuffles(); }
  bool has_distributed_sampler() const override { return true; }
  std::shared_ptr<DataLoader> with_distributed_sampler(int, int, bool, std::uint64_t,
                                                       bool) override;
  std::shared_ptr<DataLoader> with_sequential_sampler() override;
  std::shared_ptr<DataLoader> for_prediction() override;
  const PrefetchOptions* prefetching() const override { return &workers_->options(); }
  std::optional<std::int64_t> batch_size() const override { return options_.batch_size; }
  void fit_to(const LoaderSurroundings& surroundings) override;
  std::optional<LoadingStats> stats() const override { return workers_->stats(); }
  void set_epoch(std::int64_t epoch) override { epoch_ = epoch; }

 private:
  std::shared_ptr<const IterableDataset> dataset_;
  Options options_;
  std::shared_ptr<LoaderWorkers> workers_;
  int rank_ = 0;
  int world_size_ = 1;
  std::int64_t epoch_ = 0;
};

}  // namespace lctl
