#include "worker/trainer/data/modules/token_data_module.h"

#include <memory>
#include <utility>

#include "worker/trainer/data/formats/token_dataset.h"
#include "worker/trainer/data/modules/input_files.h"

namespace lctl {

TokenDataModule::TokenDataModule(TokenDataOptions options)
    : MapDataModule(options.loading), options_(std::move(options)) {}

std::vector<std::string> TokenDataModule::inputs() const {
  std::vector<std::string> files{options_.train};
  if (options_.val) files.push_back(*options_.val);
  if (options_.test) files.push_back(*options_.test);
  return files;
}

DatasetSplits TokenDataModule::load() {
  const auto open = [this](const std::string& input, bool in_order) {
    TokenOptions reading;
    reading.block_size = options_.block_size;
    reading.stride = options_.stride.value_or(0);
    reading.width = options_.dtype == "uint32" ? TokenWidth::kUint32 : TokenWidth::kUint16;
    reading.vocab_size = options_.vocab_size;
    reading.in_order = in_order;
    return std::make_shared<TokenDataset>(SharedBytes::map(local_file(input)), reading);
  };
  DatasetSplits splits;
  splits.train = open(options_.train, !loading().shuffle);
  if (options_.val) splits.val = open(*options_.val, true);
  if (options_.test) splits.test = open(*options_.test, true);
  return splits;
}

}  // namespace lctl
