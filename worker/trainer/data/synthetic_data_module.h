// Samples from an exact integer formula: for tests, benchmarks and first steps without data.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/core/lightning_data_module.h"
#include "worker/trainer/data/dataset.h"

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
  std::vector<std::int64_t> reshape;  // of one sample's x; empty = flat
  std::int64_t batch_size = 16;
  std::optional<std::int64_t> val_batch_size;
  bool shuffle = false;
  bool drop_last = false;
  std::int64_t num_workers = 0;
  std::optional<std::int64_t> nan_index;     // that sample's features are NaN
  std::optional<std::int64_t> memory_limit;  // larger batches fail as an allocation does
};

class SyntheticDataModule final : public LightningDataModule {
 public:
  explicit SyntheticDataModule(SyntheticOptions options);

  void setup(std::string_view stage) override;
  std::shared_ptr<DataLoader> train_dataloader() override;
  std::vector<std::shared_ptr<DataLoader>> val_dataloader() override;
  std::vector<std::shared_ptr<DataLoader>> test_dataloader() override;
  std::vector<std::shared_ptr<DataLoader>> predict_dataloader() override;
  std::string type_name() const override { return "SyntheticDataModule"; }
  std::int64_t batch_size() const override { return options_.batch_size; }
  void set_batch_size(std::int64_t size) override { options_.batch_size = size; }

 private:
  std::shared_ptr<DataLoader> loader(std::int64_t first, std::int64_t count, bool train) const;

  SyntheticOptions options_;
  std::shared_ptr<const Dataset> all_;  // train, then val, then test; null before setup
};

}  // namespace lctl
