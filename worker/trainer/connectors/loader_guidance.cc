#include "worker/trainer/connectors/loader_guidance.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>

#include "worker/trainer/core/console.h"
#include "worker/trainer/data/loading/loader_workers.h"

namespace lctl {
namespace {

void guide_workers(const PrefetchOptions& options, const LoaderFacts& facts) {
  const std::int64_t workers = options.num_workers;
  if (workers == kAutoWorkers) return;
  if (workers == 0 && facts.on_device) {
    console::warn(fmt::format(
        "The '{}_dataloader' prepares batches in the training thread while the GPU waits. Set "
        "`num_workers: auto` (or 4), so that threads prepare them ahead.",
        facts.name));
    return;
  }
  const std::int64_t enough = available_cpus() / facts.local_world_size - 1;
  if (workers < 2 && enough > 1) {
    console::warn(
        fmt::format("The '{}_dataloader' does not have many workers which may be a bottleneck. "
                    "Consider increasing the value of the `num_workers` argument` to "
                    "`num_workers={}` in the `DataLoader` to improve performance.",
                    facts.name, enough));
  }
}

}  // namespace

void give_loader_guidance(const DataLoader& loader, const LoaderFacts& facts) {
  if (const PrefetchOptions* options = loader.prefetching()) {
    guide_workers(*options, facts);
    if (facts.on_device && !options->pin_memory) {
      console::warn(fmt::format(
          "The '{}_dataloader' does not pin its batches, so the GPU waits for each copy. Set "
          "`pin_memory: true`.",
          facts.name));
    }
    if (options->num_workers != 0 && !options->persistent_workers) {
      console::warn(
          fmt::format("The '{}_dataloader' starts its workers anew for each pass. Consider setting "
                      "`persistent_workers=True` to speed up the dataloader worker initialization.",
                      facts.name));
    }
  }
  const auto samples = loader.dataset_length();
  const auto batch_size = loader.batch_size();
  if (!samples || !batch_size || *samples == 0) return;
  if (*batch_size > *samples) {
    console::warn(fmt::format(
        "The '{}_dataloader' has batches of {} samples, but only {} samples. Set `batch_size: {}` "
        "or less; with `drop_last: true` there would be no batch at all.",
        facts.name, *batch_size, *samples, *samples));
  }
  if (facts.training && !facts.overfit && !loader.shuffles() && *samples > *batch_size) {
    console::warn(
        "The 'train_dataloader' goes through the data in the same order in every epoch, which "
        "usually costs accuracy. Set `shuffle: true`.");
  }
}

void warn_of_uneven_shards(std::int64_t own, std::int64_t fewest) {
  console::warn(fmt::format(
      "The data is split unevenly over the ranks: this one has {} training batches, another only "
      "{}. All train on {} in each epoch, the rest is left out. Make shards of equal size, as many "
      "as a multiple of the ranks.",
      own, fewest, fewest));
}

void warn_of_skipped_samples(std::int64_t samples, std::int64_t batches) {
  if (samples == 0) return;
  console::warn(fmt::format(
      "Training left out {} bad samples in {} batches of this process (on_bad_sample: skip).",
      samples, batches));
}

void warn_of_early_loading(std::string_view data_module, std::int64_t bytes) {
  console::warn(fmt::format(
      "{} had loaded {} MiB of samples before setup() was called, in its constructor. Load them in "
      "setup(stage) instead: then a run that fails early costs nothing, and each rank loads its "
      "own.",
      data_module, bytes >> 20));
}

}  // namespace lctl
