// Who gets which samples.
#pragma once

#include <cstdint>
#include <memory>

#include "worker/trainer/data/dataset.h"

namespace lctl {

// Data sets of the stages; null = there is none.
struct DatasetSplits {
  std::shared_ptr<const Dataset> train;
  std::shared_ptr<const Dataset> val;
  std::shared_ptr<const Dataset> test;
};

struct SplitOptions {
  double val_fraction = 0.2;
  double test_fraction = 0.0;
  std::uint64_t split_seed = 42;
};

// Throws std::invalid_argument unless something is left for training.
void check(const SplitOptions& options);

// random_split with split_seed; each share is rounded down, training gets the rest. A share of
// nothing is null.
DatasetSplits split(std::shared_ptr<const Dataset> whole, const SplitOptions& options);

}  // namespace lctl
