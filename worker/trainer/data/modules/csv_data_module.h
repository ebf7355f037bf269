// Rows of a CSV file as samples: the data module of examples/digits.yaml.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "worker/trainer/data/modules/map_data_module.h"

namespace lctl {

// Names and defaults are those of the job file.
struct CsvOptions {
  std::string path;  // .csv or .csv.gz, or the URL of one
  std::variant<std::int64_t, std::string> label =
      -1;                             // column index (negative: from the end) or name
  double scale = 1.0;                 // features are divided by it, in float32
  std::vector<std::int64_t> reshape;  // of one sample; empty = flat
  std::string label_dtype = "int64";  // "int64": shape [n]; "float32": shape [n, 1]
  double label_scale = 1.0;           // float32 labels are divided by it
  std::optional<std::int64_t> rows;   // use only the first ones
  bool allow_nan = true;              // false: a row with NaN or infinity is a bad sample
  SplitOptions split;
  LoadingOptions loading;
};

// First line = header. Split by random_split with split_seed into train, val, test. Read in
// setup(), once. Errors name file, line and column.
class CsvDataModule final : public MapDataModule {
 public:
  explicit CsvDataModule(CsvOptions options);
  std::string type_name() const override { return "CsvDataModule"; }

 private:
  std::vector<std::string> inputs() const override { return {options_.path}; }
  DatasetSplits load() override;

  CsvOptions options_;
};

}  // namespace lctl
