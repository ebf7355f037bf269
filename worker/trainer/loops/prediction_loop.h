// One run over the data to predict.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/trainer/loops/data_fetcher.h"
#include "worker/trainer/loops/loop_context.h"

namespace lctl {

// Thread rule: one strand only (the training thread).
class PredictionLoop {
 public:
  explicit PredictionLoop(LoopContext& context) : context_(context) {}

  // Outputs on the CPU, per loader and batch.
  std::vector<std::vector<Batch>> run();

  std::int64_t total_batches() const { return data_.total(); }

 private:
  void step(FetchedBatch fetched);

  LoopContext& context_;
  StageLoaders data_;
  std::vector<std::vector<Batch>> predictions_;
};

}  // namespace lctl
