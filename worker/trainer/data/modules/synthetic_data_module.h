// Samples from an exact integer formula: for tests, benchmarks and first steps without data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/data/modules/map_data_module.h"

namespace lctl {

// Names and defaults are those of the job file (docs/job_file.md has the formula).
struct SyntheticOptions {
  std::string kind = "classification";  // classification, regression, binary, tokens
  std::int64_t num_train = 64;
  std::int64_t num_val = 32;
  std::int64_t num_test = 0;
  std::int64_t num_features = 8;
  std::int64_t num_classes = 4;
  std::int64_t vocab_size = 16;
  std::vector<std::int64_t> reshape;         // of one sample's x; empty = flat
  std::optional<std::int64_t> nan_index;     // that sample's features are NaN
  std::optional<std::int64_t> memory_limit;  // larger batches fail as an allocation does
  double seconds_per_sample = 0;             // making one takes so long, as from a slow disk
  LoadingOptions loading = {.batch_size = 16, .shuffle = false};
};

class SyntheticDataModule final : public MapDataModule {
 public:
  explicit SyntheticDataModule(SyntheticOptions options);
  std::string type_name() const override { return "SyntheticDataModule"; }

 private:
  DatasetSplits load() override;

  SyntheticOptions options_;
};

}  // namespace lctl
