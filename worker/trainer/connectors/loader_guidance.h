// What experienced people would say about a loader: warnings, each once, with the fix in it.
#pragma once

#include <cstdint>
#include <string_view>

#include "worker/trainer/data/data_loader.h"

namespace lctl {

// Around a loader, what decides whether its settings are good ones.
struct LoaderFacts {
  std::string_view name;  // "train", "val", "test", "predict"
  bool training = false;
  bool on_device = false;    // batches go to a GPU
  bool overfit = false;      // overfit_batches wants a fixed order
  int local_world_size = 1;  // ranks that share this machine's processors
};

// Few workers, none beside a GPU, no pinning there, workers made anew for each pass, a training
// order that never changes, a batch that is larger than the data. Lightning's words where it has
// them.
void give_loader_guidance(const DataLoader& loader, const LoaderFacts& facts);

// A rank has more training batches than another one.
void warn_of_uneven_shards(std::int64_t own, std::int64_t fewest);

// The end of a run whose training loader has left out so many samples; nothing for none.
void warn_of_skipped_samples(std::int64_t samples, std::int64_t batches);

// Samples were loaded before setup(), in the data module's constructor: `bytes` of tensors.
void warn_of_early_loading(std::string_view data_module, std::int64_t bytes);

}  // namespace lctl
