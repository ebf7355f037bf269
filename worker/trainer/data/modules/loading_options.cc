#include "worker/trainer/data/modules/loading_options.h"

#include <utility>

#include "worker/trainer/data/iterable_data_loader.h"
#include "worker/trainer/data/map_data_loader.h"

namespace lctl {

std::shared_ptr<DataLoader> make_loader(std::shared_ptr<const Dataset> dataset,
                                        const LoadingOptions& options, bool train) {
  MapDataLoader::Options loading;
  loading.batch_size = options.batch_size_of(train);
  loading.shuffle = train && options.shuffle;
  loading.drop_last = train && options.drop_last;
  loading.pad_to = options.pad_to;
  loading.num_workers = options.prefetch.num_workers;
  loading.prefetch_factor = options.prefetch.prefetch_factor;
  loading.pin_memory = options.prefetch.pin_memory;
  loading.persistent_workers = options.prefetch.persistent_workers;
  loading.prefetch_memory = options.prefetch.prefetch_memory;
  loading.skip_bad_samples = options.prefetch.skip_bad_samples;
  return std::make_shared<MapDataLoader>(std::move(dataset), std::move(loading));
}

std::shared_ptr<DataLoader> make_loader(std::shared_ptr<const IterableDataset> dataset,
                                        const LoadingOptions& options, bool train) {
  IterableDataLoader::Options loading;
  loading.batch_size = options.batch_size_of(train);
  loading.drop_last = train && options.drop_last;
  loading.prefetch = options.prefetch;
  return std::make_shared<IterableDataLoader>(std::move(dataset), loading);
}

}  // namespace lctl
