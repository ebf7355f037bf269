#include "worker/trainer/data/modules/web_data_module.h"

#include <string_view>
#include <utility>

#include "worker/trainer/data/formats/npy.h"
#include "worker/trainer/data/formats/shared_bytes.h"
#include "worker/trainer/data/images/decode_image.h"
#include "worker/trainer/data/images/image_rows.h"
#include "worker/trainer/data/modules/input_files.h"
#include "worker/trainer/data/webdataset/web_dataset.h"

namespace lctl {
namespace {

constexpr std::string_view kImageExtensions[] = {"jpg", "jpeg", "png"};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

FieldDecoders decoders() {
  FieldDecoders all;
  for (const std::string_view extension : kImageExtensions) {
    all.emplace(extension, [](std::span<const std::byte> bytes, const std::string& name) {
      return Batch(decode_image(text_of(bytes), name));
    });
  }
  all.emplace("npy", [](std::span<const std::byte> bytes, const std::string& name) {
    return Batch(read_npy(SharedBytes::of(std::string(text_of(bytes)), name)));
  });
  return all;
}

FieldPutters putters() {
  FieldPutters all;
  for (const std::string_view extension : kImageExtensions) {
    all.emplace(extension,
                [](BatchBuilder& batch, std::size_t row, Batch::List sample, std::size_t missing,
                   std::span<const std::byte> bytes, const std::string& name) {
                  put_image(batch, row, std::move(sample), missing, text_of(bytes), name);
                });
  }
  return all;
}

// Whether a column ("jpg;jpeg;png") may be an image.
bool is_image(std::string_view column) {
  for (const std::string_view extension : kImageExtensions) {
    for (std::string_view rest = column; !rest.empty();) {
      const std::size_t end = rest.find(';');
      const std::string_view alternative = rest.substr(0, end);
      const std::size_t dot = alternative.rfind('.');
      if (alternative.substr(dot == std::string_view::npos ? 0 : dot + 1) == extension) return true;
      rest = end == std::string_view::npos ? "" : rest.substr(end + 1);
    }
  }
  return false;
}

std::vector<FieldTransform> field_transforms(const std::vector<std::string>& columns,
                                             const transforms::TransformPtr& image) {
  std::vector<FieldTransform> all;
  for (const std::string& column : columns) {
    all.emplace_back();
    if (!is_image(column) || image->is_identity()) continue;
    all.back() = [image](Batch value, RandomStream& random) {
      return value.is_tensor() ? Batch(image->apply(value.tensor(), random)) : value;
    };
  }
  return all;
}

}  // namespace

WebDataModule::WebDataModule(WebDataOptions options) : options_(std::move(options)) {
  options_.transforms = or_to_tensor(options_.transforms);
}

void WebDataModule::setup(std::string_view /*stage*/) {
  if (train_ != nullptr) return;
  const auto open = [this](const std::vector<std::string>& shards,
                           bool train) -> std::shared_ptr<const IterableDataset> {
    if (shards.empty()) return nullptr;
    WebDatasetOptions reading;
    reading.shards = shards;
    reading.columns = options_.columns;
    reading.decoders = decoders();
    reading.putters = putters();
    reading.transforms = field_transforms(
        options_.columns, train ? options_.transforms.train : options_.transforms.val);
    reading.resolve = [](const std::string& url) { return local_file(url); };
    if (options_.loading.prefetch.skip_bad_samples)
      reading.empty_shards = webdataset::EmptyShards::kSkip;
    if (train && options_.loading.shuffle) {
      reading.shuffle_buffer = options_.shuffle_buffer;
      reading.shard_shuffle = true;
    }
    if (train) reading.samples_per_pass = options_.samples_per_epoch;
    return std::make_shared<WebDataset>(std::move(reading));
  };
  train_ = open(options_.train, true);
  val_ = open(options_.val, false);
  test_ = open(options_.test, false);
}

std::shared_ptr<DataLoader> WebDataModule::train_dataloader() {
  return make_loader(train_, options_.loading, true);
}

std::vector<std::shared_ptr<DataLoader>> WebDataModule::val_dataloader() {
  if (val_ == nullptr) return {};
  return {make_loader(val_, options_.loading, false)};
}

std::vector<std::shared_ptr<DataLoader>> WebDataModule::test_dataloader() {
  if (test_ == nullptr) return {};
  return {make_loader(test_, options_.loading, false)};
}

std::vector<std::shared_ptr<DataLoader>> WebDataModule::predict_dataloader() {
  return test_ != nullptr ? test_dataloader() : val_dataloader();
}

}  // namespace lctl
