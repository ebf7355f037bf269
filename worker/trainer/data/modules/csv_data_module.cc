#include "worker/trainer/data/modules/csv_data_module.h"

#include <ATen/ops/cat.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/formats/csv_reader.h"
#include "worker/trainer/data/modules/input_files.h"

namespace lctl {
namespace {

std::int64_t label_column(const CsvTable& table, const CsvOptions& options) {
  const auto columns = static_cast<std::int64_t>(table.columns.size());
  if (const auto* index = std::get_if<std::int64_t>(&options.label)) {
    const std::int64_t column = *index < 0 ? *index + columns : *index;
    if (column < 0 || column >= columns) {
      throw MisconfigurationException(
          fmt::format("{}: label column {} does not exist: there are {} columns", options.path,
                      *index, columns));
    }
    return column;
  }
  const std::string& name = std::get<std::string>(options.label);
  const auto found = std::find(table.columns.begin(), table.columns.end(), name);
  if (found == table.columns.end()) {
    throw MisconfigurationException(
        fmt::format("{}:1: there is no column '{}' to take the label from; the last is '{}'",
                    options.path, name, table.columns.back()));
  }
  return found - table.columns.begin();
}

// Class numbers; NaN would become an arbitrary one.
void refuse_infinite_labels(const at::Tensor& labels, const std::string& column,
                            const CsvTable& table, const std::string& path) {
  const at::Tensor values = labels.contiguous();
  const auto* data = values.const_data_ptr<float>();
  for (std::int64_t row = 0; row < values.numel(); ++row) {
    if (std::isfinite(data[row])) continue;
    throw MisconfigurationException(fmt::format(
        "{}:{}: column '{}': {} is no class number; labels of label_dtype int64 must be finite",
        path, table.line_of(row), column, data[row]));
  }
}

std::shared_ptr<const Dataset> read_dataset(const CsvOptions& options, SkippedSamples* skipped) {
  const CsvTable table =
      read_csv(local_file(options.path),
               {.max_rows = options.rows, .finite = !options.allow_nan, .skipped = skipped});
  const std::int64_t label = label_column(table, options);
  const std::int64_t columns = table.values.size(1);
  const at::Tensor features =
      at::cat({table.values.slice(1, 0, label), table.values.slice(1, label + 1, columns)}, 1)
          .div_(static_cast<float>(options.scale));
  at::Tensor x = features;
  if (!options.reshape.empty()) {
    std::vector<std::int64_t> shape = options.reshape;
    shape.insert(shape.begin(), features.size(0));
    std::int64_t elements = 1;
    for (const std::int64_t size : options.reshape) elements *= size;
    if (elements != columns - 1) {
      throw MisconfigurationException(
          fmt::format("{}: {} features per row cannot be reshaped to {}", options.path, columns - 1,
                      fmt::join(options.reshape, "x")));
    }
    x = features.view(shape);
  }
  at::Tensor y = table.values.select(1, label);
  if (options.label_dtype == "int64") {
    refuse_infinite_labels(y, table.columns[static_cast<std::size_t>(label)], table, options.path);
    y = y.to(at::kLong);
  } else {
    y = y.contiguous().div_(static_cast<float>(options.label_scale)).unsqueeze(1);
  }
  return std::make_shared<TensorDataset>(std::vector<at::Tensor>{x, y});
}

}  // namespace

CsvDataModule::CsvDataModule(CsvOptions options)
    : MapDataModule(options.loading), options_(std::move(options)) {
  check(options_.split);
}

DatasetSplits CsvDataModule::load() {
  return split(read_dataset(options_, skipped()), options_.split);
}

}  // namespace lctl
