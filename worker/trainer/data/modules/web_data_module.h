// WebDataset shards as training and validation streams.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/trainer/core/lightning_data_module.h"
#include "worker/trainer/data/modules/image_data_modules.h"
#include "worker/trainer/data/modules/loading_options.h"

namespace lctl {

// Names and defaults are those of the job file.
struct WebDataOptions {
  std::vector<std::string> train;  // paths, URLs, folders; braces are expanded
  std::vector<std::string> val;    // empty = none
  std::vector<std::string> test;
  std::vector<std::string> columns = {"jpg;jpeg;png", "cls"};
  std::int64_t shuffle_buffer = 1000;             // samples; training only
  std::optional<std::int64_t> samples_per_epoch;  // of each rank; unset = all of its shards
  ImageTransforms transforms;                     // of columns that are images
  LoadingOptions loading;                         // shuffle: the order of shards and samples
};

// Thread rule: one strand only (the training thread).
class WebDataModule final : public LightningDataModule {
 public:
  explicit WebDataModule(WebDataOptions options);

  void setup(std::string_view stage) override;
  std::shared_ptr<DataLoader> train_dataloader() override;
  std::vector<std::shared_ptr<DataLoader>> val_dataloader() override;
  std::vector<std::shared_ptr<DataLoader>> test_dataloader() override;
  std::vector<std::shared_ptr<DataLoader>> predict_dataloader() override;
  std::int64_t batch_size() const override { return options_.loading.batch_size; }
  void set_batch_size(std::int64_t size) override { options_.loading.batch_size = size; }
  std::string type_name() const override { return "WebDataModule"; }

 private:
  WebDataOptions options_;
  std::shared_ptr<const IterableDataset> train_;
  std::shared_ptr<const IterableDataset> val_;
  std::shared_ptr<const IterableDataset> test_;
};

}  // namespace lctl
