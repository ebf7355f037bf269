// torch.utils.data.DataLoader over a map-style data set.
#pragma once

#include <ATen/core/Generator.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "worker/trainer/data/data_loader.h"
#include "worker/trainer/data/dataset.h"
#include "worker/trainer/data/sampler.h"

namespace lctl {

// num_workers threads prepare up to num_workers * prefetch_factor batches ahead; batches come in
// the same order, with the same bits, whatever their number. A worker's exception reaches the
// caller at the batch that it belongs to. Thread rule: one strand only (the training thread);
// workers are its own.
class MapDataLoader final : public DataLoader {
 public:
  struct Options {
    std::int64_t batch_size = 1;
    bool shuffle = false;
    bool drop_last = false;
    std::int64_t num_workers = 0;            // threads
    std::int64_t prefetch_factor = 2;        // batches ahead per worker
    std::optional<at::Generator> generator;  // for order and base seed; unset = the global one
  };

  // Throws std::invalid_argument for a batch size below 1 and negative numbers.
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
  std::optional<std::int64_t> num_workers() const override { return options_.num_workers; }
  void set_epoch(std::int64_t epoch) override { sampler_->set_epoch(epoch); }

 private:
  MapDataLoader(std::shared_ptr<const Dataset> dataset, Options options,
                std::shared_ptr<Sampler> sampler);

  std::shared_ptr<const Dataset> dataset_;
  Options options_;
  std::shared_ptr<Sampler> sampler_;
};

}  // namespace lctl
