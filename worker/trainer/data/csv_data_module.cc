#include "worker/trainer/data/csv_data_module.h"

#include <ATen/ops/cat.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/formats/csv_reader.h"
#include "worker/trainer/data/map_data_loader.h"

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

std::shared_ptr<const Dataset> read_dataset(const CsvOptions& options) {
  const CsvTable table = read_csv(options.path, {.max_rows = options.rows});
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

std::shared_ptr<DataLoader> loader(const CsvOptions& options, std::shared_ptr<const Dataset> part,
                                   bool train) {
  MapDataLoader::Options loading;
  loading.batch_size =
      train ? options.batch_size : options.val_batch_size.value_or(options.batch_size);
  loading.shuffle = train && options.shuffle;
  loading.drop_last = train && options.drop_last;
  loading.num_workers = options.num_workers;
  return std::make_shared<MapDataLoader>(std::move(part), loading);
}

}  // namespace

CsvDataModule::CsvDataModule(CsvOptions options) : options_(std::move(options)) {
  const bool some_left = options_.val_fraction >= 0 && options_.test_fraction >= 0 &&
                         options_.val_fraction + options_.test_fraction < 1;
  if (!some_left) {
    throw std::invalid_argument(
        fmt::format("data.init_args.val_fraction, test_fraction: must be >= 0 and sum to less than "
                    "1, not {} and {}",
                    options_.val_fraction, options_.test_fraction));
  }
}

void CsvDataModule::setup(std::string_view /*stage*/) {
  if (!parts_.empty()) return;
  const std::shared_ptr<const Dataset> whole = read_dataset(options_);
  const auto size = static_cast<double>(whole->size());
  const auto test = static_cast<std::int64_t>(size * options_.test_fraction);
  const auto val = static_cast<std::int64_t>(size * options_.val_fraction);
  parts_ = random_split(whole, {whole->size() - val - test, val, test}, options_.split_seed);
}

std::shared_ptr<DataLoader> CsvDataModule::train_dataloader() {
  return loader(options_, parts_.at(0), true);
}

std::vector<std::shared_ptr<DataLoader>> CsvDataModule::val_dataloader() {
  if (parts_.at(1)->size() == 0) return {};
  return {loader(options_, parts_[1], false)};
}

std::vector<std::shared_ptr<DataLoader>> CsvDataModule::test_dataloader() {
  if (parts_.at(2)->size() == 0) return {};
  return {loader(options_, parts_[2], false)};
}

std::vector<std::shared_ptr<DataLoader>> CsvDataModule::predict_dataloader() {
  return parts_.at(2)->size() > 0 ? test_dataloader() : val_dataloader();
}

}  // namespace lctl
