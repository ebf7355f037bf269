// Rows of a CSV file as samples: the data module of examples/digits.yaml.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "worker/trainer/core/lightning_data_module.h"
#include "worker/trainer/data/dataset.h"

namespace lctl {

// Names and defaults are those of the job file.
struct CsvOptions {
  std::string path;  // .csv or .csv.gz
  std::variant<std::int64_t, std::string> label =
      -1;                             // column index (negative: from the end) or name
  double scale = 1.0;                 // features are divided by it, in float32
  std::vector<std::int64_t> reshape;  // of one sample; empty = flat
  std::string label_dtype = "int64";  // "int64": shape [n]; "float32": shape [n, 1]
  double label_scale = 1.0;           // float32 labels are divided by it
  std::optional<std::int64_t> rows;   // use only the first ones
  double val_fraction = 0.2;
  double test_fraction = 0.0;
  std::uint64_t split_seed = 42;
  std::int64_t batch_size = 32;
  std::optional<std::int64_t> val_batch_size;  // also for test and predict
  bool shuffle = true;
  bool drop_last = false;
  std::int64_t num_workers = 0;
};

// First line = header. Split by random_split with split_seed into train, val, test. Read in
// setup(), once. Errors name file, line and column.
class CsvDataModule final : public LightningDataModule {
 public:
  explicit CsvDataModule(CsvOptions options);

  void setup(std::string_view stage) override;
  std::shared_ptr<DataLoader> train_dataloader() override;
  std::vector<std::shared_ptr<DataLoader>> val_dataloader() override;
  std::vector<std::shared_ptr<DataLoader>> test_dataloader() override;
  std::vector<std::shared_ptr<DataLoader>> predict_dataloader() override;
  std::string type_name() const override { return "CsvDataModule"; }
  std::int64_t batch_size() const override { return options_.batch_size; }
  void set_batch_size(std::int64_t size) override { options_.batch_size = size; }

 private:
  CsvOptions options_;
  std::vector<std::shared_ptr<const Dataset>> parts_;  // train, val, test; empty before setup
};

}  // namespace lctl
