// The arguments that all data modules share: what a batch is, and how batches are prepared.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "worker/trainer/data/data_loader.h"
#include "worker/trainer/data/dataset.h"
#include "worker/trainer/data/iterable_dataset.h"
#include "worker/trainer/data/loading/loader_workers.h"

namespace lctl {

// Names and defaults are those of the job file.
struct LoadingOptions {
  std::int64_t batch_size = 32;
  std::optional<std::int64_t> val_batch_size;  // also for test and predict
  bool shuffle = true;                         // the training data
  bool drop_last = false;                      // of the training batches
  // Of several ranks an epoch is filled up to a multiple of it; 0 = of their number.
  std::int64_t pad_to = 0;
  PrefetchOptions prefetch;

  std::int64_t batch_size_of(bool train) const {
    return train ? batch_size : val_batch_size.value_or(batch_size);
  }
};

// A loader for training, or for the other stages: those neither shuffle nor drop.
std::shared_ptr<DataLoader> make_loader(std::shared_ptr<const Dataset> dataset,
                                        const LoadingOptions& options, bool train);
std::shared_ptr<DataLoader> make_loader(std::shared_ptr<const IterableDataset> dataset,
                                        const LoadingOptions& options, bool train);

}  // namespace lctl
