// What data modules of indexed samples have in common.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/trainer/core/lightning_data_module.h"
#include "worker/trainer/data/modules/loading_options.h"
#include "worker/trainer/data/modules/splits.h"

namespace lctl {

// A subclass says which files it needs and makes data sets of them; this class fetches, keeps them,
// and makes loaders. Predicting takes the test data, or else the validation data. Thread rule: one
// strand only (the training thread).
class MapDataModule : public LightningDataModule {
 public:
  void prepare_data() override;
  void setup(std::string_view stage) override;
  std::shared_ptr<DataLoader> train_dataloader() override;
  std::vector<std::shared_ptr<DataLoader>> val_dataloader() override;
  std::vector<std::shared_ptr<DataLoader>> test_dataloader() override;
  std::vector<std::shared_ptr<DataLoader>> predict_dataloader() override;
  std::int64_t batch_size() const override { return loading_.batch_size; }
  void set_batch_size(std::int64_t size) override { loading_.batch_size = size; }

 protected:
  explicit MapDataModule(LoadingOptions loading) : loading_(loading) {}

  // Paths and URLs.
  virtual std::vector<std::string> inputs() const { return {}; }
  // The same for folders, which may be archives.
  virtual std::vector<std::string> folders() const { return {}; }
  // Once, on every rank. Throws MisconfigurationException (BadSample) for data that will not get
  // better.
  virtual DatasetSplits load() = 0;

  const LoadingOptions& loading() const { return loading_; }
  // Where rows that cannot be used are counted; null when they are errors.
  SkippedSamples* skipped() { return loading_.prefetch.skip_bad_samples ? &skipped_ : nullptr; }

 private:
  LoadingOptions loading_;
  DatasetSplits splits_;  // train is null before setup
  SkippedSamples skipped_;
};

}  // namespace lctl
