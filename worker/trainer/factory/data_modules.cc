#include "worker/trainer/factory/data_modules.h"

#include <array>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/csv_data_module.h"
#include "worker/trainer/data/synthetic_data_module.h"

namespace lctl {
namespace {

using jobspec::Arguments;

std::vector<std::int64_t> shape_of(const Arguments& a) {
  return a.get("reshape").is_null() ? std::vector<std::int64_t>{} : a.get_ints("reshape");
}

std::unique_ptr<LightningDataModule> make_csv(const Arguments& a) {
  CsvOptions options;
  options.path = a.get_string("path");
  const jobspec::Value& label = a.get("label");
  if (label.is_int()) {
    options.label = label.as_int();
  } else {
    options.label = label.as_string();
  }
  options.scale = a.get_double("scale");
  options.reshape = shape_of(a);
  options.label_dtype = a.get_string("label_dtype");
  options.label_scale = a.get_double("label_scale");
  options.rows = a.get_optional_int("rows");
  options.val_fraction = a.get_double("val_fraction");
  options.test_fraction = a.get_double("test_fraction");
  options.split_seed = static_cast<std::uint64_t>(a.get_int("split_seed"));
  options.batch_size = a.get_int("batch_size");
  options.val_batch_size = a.get_optional_int("val_batch_size");
  options.shuffle = a.get_bool("shuffle");
  options.drop_last = a.get_bool("drop_last");
  options.num_workers = a.get_int("num_workers");
  return std::make_unique<CsvDataModule>(std::move(options));
}

std::unique_ptr<LightningDataModule> make_synthetic(const Arguments& a) {
  SyntheticOptions options;
  options.kind = a.get_string("kind");
  options.num_train = a.get_int("num_train");
  options.num_val = a.get_int("num_val");
  options.num_test = a.get_int("num_test");
  options.num_features = a.get_int("num_features");
  options.num_classes = a.get_int("num_classes");
  options.vocab_size = a.get_int("vocab_size");
  options.reshape = shape_of(a);
  options.batch_size = a.get_int("batch_size");
  options.val_batch_size = a.get_optional_int("val_batch_size");
  options.shuffle = a.get_bool("shuffle");
  options.drop_last = a.get_bool("drop_last");
  options.num_workers = a.get_int("num_workers");
  options.nan_index = a.get_optional_int("nan_index");
  options.memory_limit = a.get_optional_int("memory_limit");
  return std::make_unique<SyntheticDataModule>(std::move(options));
}

struct Entry {
  std::string_view name;
  std::unique_ptr<LightningDataModule> (*make)(const Arguments& arguments);
};

constexpr std::array<Entry, 2> kDataModules = {{
    {"CsvDataModule", make_csv},
    {"SyntheticDataModule", make_synthetic},
}};

}  // namespace

std::unique_ptr<LightningDataModule> make_data_module(const jobspec::ClassSpec& spec) {
  for (const Entry& entry : kDataModules) {
    if (spec.class_name == entry.name) return entry.make(spec.init_args);
  }
  throw MisconfigurationException("data: unknown class '" + spec.class_name + "'");
}

std::vector<std::string_view> data_module_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kDataModules) names.push_back(entry.name);
  return names;
}

}  // namespace lctl
