#include "worker/trainer/factory/data_modules.h"

#include <array>
#include <span>
#include <string>
#include <utility>

#include "jobspec/quantity.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/modules/csv_data_module.h"
#include "worker/trainer/data/modules/image_data_modules.h"
#include "worker/trainer/data/modules/synthetic_data_module.h"
#include "worker/trainer/data/modules/tensor_data_module.h"
#include "worker/trainer/data/modules/token_data_module.h"
#include "worker/trainer/data/modules/web_data_module.h"
#include "worker/trainer/data/transforms/transform_factory.h"

namespace lctl {
namespace {

using jobspec::Arguments;
using jobspec::ClassSpec;

std::vector<std::int64_t> shape_of(const Arguments& a) {
  return a.get("reshape").is_null() ? std::vector<std::int64_t>{} : a.get_ints("reshape");
}

LoadingOptions loading_of(const Arguments& a, const BatchShare& share) {
  LoadingOptions options;
  options.batch_size = share.of(a.get_int("batch_size"));
  if (const auto given = a.get_optional_int("val_batch_size"))
    options.val_batch_size = share.of(*given);
  options.pad_to = share.pad_to;
  options.shuffle = a.get_bool("shuffle");
  options.drop_last = a.get_bool("drop_last");
  const jobspec::Value& workers = a.get("num_workers");
  options.prefetch.num_workers = workers.is_int() ? workers.as_int() : kAutoWorkers;
  options.prefetch.prefetch_factor = a.get_int("prefetch_factor");
  options.prefetch.prefetch_memory = *jobspec::parse_size(a.get("prefetch_memory")).value;
  options.prefetch.pin_memory = a.get_bool("pin_memory");
  options.prefetch.persistent_workers = a.get_bool("persistent_workers");
  options.prefetch.skip_bad_samples = a.get_string("on_bad_sample") == "skip";
  return options;
}

SplitOptions split_of(const Arguments& a) {
  return {.val_fraction = a.get_double("val_fraction"),
          .test_fraction = a.get_double("test_fraction"),
          .split_seed = static_cast<std::uint64_t>(a.get_int("split_seed"))};
}

// The children of the class are those of train_transforms, then those of val_transforms.
ImageTransforms transforms_of(const ClassSpec& spec) {
  const auto count = [&spec](std::string_view name) {
    const jobspec::Value& list = spec.init_args.get(name);
    return list.is_list() ? list.list().size() : 0;
  };
  const std::span<const ClassSpec> all(spec.children);
  const std::size_t train = count("train_transforms");
  return {transforms::make_transforms(all.first(train), "data.init_args.train_transforms"),
          transforms::make_transforms(all.subspan(train), "data.init_args.val_transforms")};
}

std::vector<std::string> texts_of(const jobspec::Value& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return {value.as_string()};
  std::vector<std::string> texts;
  for (const jobspec::Value& item : value.list()) texts.push_back(item.as_string());
  return texts;
}

std::unique_ptr<LightningDataModule> make_csv(const ClassSpec& spec, const BatchShare& share) {
  const Arguments& a = spec.init_args;
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
  options.allow_nan = a.get_bool("allow_nan");
  options.split = split_of(a);
  options.loading = loading_of(a, share);
  return std::make_unique<CsvDataModule>(std::move(options));
}

std::unique_ptr<LightningDataModule> make_tensor(const ClassSpec& spec, const BatchShare& share) {
  const Arguments& a = spec.init_args;
  TensorDataOptions options;
  options.path = a.get_string("path");
  options.features = a.get_string("features");
  options.target_path = a.get_optional_string("target_path");
  options.target = a.get_string("target");
  options.scale = a.get_double("scale");
  options.split = split_of(a);
  options.loading = loading_of(a, share);
  return std::make_unique<TensorDataModule>(std::move(options));
}

std::unique_ptr<LightningDataModule> make_mnist(const ClassSpec& spec, const BatchShare& share) {
  const Arguments& a = spec.init_args;
  MnistOptions options;
  options.data_dir = a.get_string("data_dir");
  options.transforms = transforms_of(spec);
  options.split = split_of(a);
  options.loading = loading_of(a, share);
  return std::make_unique<MnistDataModule>(std::move(options));
}

std::unique_ptr<LightningDataModule> make_cifar(const ClassSpec& spec, const BatchShare& share) {
  const Arguments& a = spec.init_args;
  CifarOptions options;
  options.data_dir = a.get_string("data_dir");
  options.coarse_labels = a.get_bool("coarse_labels");
  options.transforms = transforms_of(spec);
  options.split = split_of(a);
  options.loading = loading_of(a, share);
  return std::make_unique<CifarDataModule>(std::move(options));
}

std::unique_ptr<LightningDataModule> make_image_folder(const ClassSpec& spec,
                                                       const BatchShare& share) {
  const Arguments& a = spec.init_args;
  ImageFolderOptions options;
  options.train = a.get_string("train");
  options.val = a.get_optional_string("val");
  options.test = a.get_optional_string("test");
  options.transforms = transforms_of(spec);
  options.split = split_of(a);
  options.loading = loading_of(a, share);
  return std::make_unique<ImageFolderDataModule>(std::move(options));
}

std::unique_ptr<LightningDataModule> make_tokens(const ClassSpec& spec, const BatchShare& share) {
  const Arguments& a = spec.init_args;
  TokenDataOptions options;
  options.train = a.get_string("train");
  options.val = a.get_optional_string("val");
  options.test = a.get_optional_string("test");
  options.block_size = a.get_int("block_size");
  options.stride = a.get_optional_int("stride");
  options.dtype = a.get_string("dtype");
  options.vocab_size = a.get_optional_int("vocab_size");
  options.loading = loading_of(a, share);
  return std::make_unique<TokenDataModule>(std::move(options));
}

std::unique_ptr<LightningDataModule> make_web(const ClassSpec& spec, const BatchShare& share) {
  const Arguments& a = spec.init_args;
  WebDataOptions options;
  options.train = texts_of(a.get("train"));
  options.val = texts_of(a.get("val"));
  options.test = texts_of(a.get("test"));
  options.columns = texts_of(a.get("columns"));
  options.shuffle_buffer = a.get_int("shuffle_buffer");
  options.samples_per_epoch = a.get_optional_int("samples_per_epoch");
  options.transforms = transforms_of(spec);
  options.loading = loading_of(a, share);
  return std::make_unique<WebDataModule>(std::move(options));
}

std::unique_ptr<LightningDataModule> make_synthetic(const ClassSpec& spec,
                                                    const BatchShare& share) {
  const Arguments& a = spec.init_args;
  SyntheticOptions options;
  options.kind = a.get_string("kind");
  options.num_train = a.get_int("num_train");
  options.num_val = a.get_int("num_val");
  options.num_test = a.get_int("num_test");
  options.num_features = a.get_int("num_features");
  options.num_classes = a.get_int("num_classes");
  options.vocab_size = a.get_int("vocab_size");
  options.reshape = shape_of(a);
  options.nan_index = a.get_optional_int("nan_index");
  options.memory_limit = a.get_optional_int("memory_limit");
  options.seconds_per_sample = a.get_double("seconds_per_sample");
  options.loading = loading_of(a, share);
  return std::make_unique<SyntheticDataModule>(std::move(options));
}

struct Entry {
  std::string_view name;
  std::unique_ptr<LightningDataModule> (*make)(const ClassSpec& spec, const BatchShare& share);
};

constexpr std::array<Entry, 8> kDataModules = {{
    {"CsvDataModule", make_csv},
    {"TensorDataModule", make_tensor},
    {"MnistDataModule", make_mnist},
    {"CifarDataModule", make_cifar},
    {"ImageFolderDataModule", make_image_folder},
    {"TokenDataModule", make_tokens},
    {"WebDataModule", make_web},
    {"SyntheticDataModule", make_synthetic},
}};

}  // namespace

std::unique_ptr<LightningDataModule> make_data_module(const jobspec::ClassSpec& spec,
                                                      const BatchShare& share) {
  for (const Entry& entry : kDataModules) {
    if (spec.class_name == entry.name) return entry.make(spec, share);
  }
  throw MisconfigurationException("data: unknown class '" + spec.class_name + "'");
}

std::vector<std::string_view> data_module_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kDataModules) names.push_back(entry.name);
  return names;
}

}  // namespace lctl
