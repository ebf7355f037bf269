// Passes over a loader: in the training thread, or prepared ahead by workers.
#pragma once

#include <memory>

#include "worker/trainer/data/data_loader.h"
#include "worker/trainer/data/loading/batch_source.h"
#include "worker/trainer/data/loading/loader_workers.h"

namespace lctl {

// One pass over `source` with the workers of a loader; `workers` outlives it. Batches come in the
// source's order with the same bits whatever the number of workers. A worker's exception reaches
// the caller at the batch that it belongs to, and the pass goes on behind it. Workers make the
// oldest batch together, and the caller helps while it waits for it, so that the first one comes
// early and few workers suffice. So many batches are ahead as options and memory allow, but always
// one. Destroying it in mid-pass drops what was not begun.
std::unique_ptr<BatchIterator> prefetched(std::unique_ptr<BatchSource> source,
                                          std::shared_ptr<LoaderWorkers> workers);

// Bytes of all tensors of a batch.
std::int64_t bytes_of(const Batch& batch);

}  // namespace lctl
