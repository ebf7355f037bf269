#include "worker/trainer/data/modules/map_data_module.h"

#include "worker/trainer/data/modules/input_files.h"

namespace lctl {

void MapDataModule::prepare_data() {
  fetch_inputs(inputs());
  for (const std::string& folder : folders()) local_folder(folder);
}

void MapDataModule::setup(std::string_view /*stage*/) {
  if (splits_.train == nullptr) splits_ = load();
}

std::shared_ptr<DataLoader> MapDataModule::train_dataloader() {
  return make_loader(splits_.train, loading_, true);
}

std::vector<std::shared_ptr<DataLoader>> MapDataModule::val_dataloader() {
  if (splits_.val == nullptr) return {};
  return {make_loader(splits_.val, loading_, false)};
}

std::vector<std::shared_ptr<DataLoader>> MapDataModule::test_dataloader() {
  if (splits_.test == nullptr) return {};
  return {make_loader(splits_.test, loading_, false)};
}

std::vector<std::shared_ptr<DataLoader>> MapDataModule::predict_dataloader() {
  return splits_.test != nullptr ? test_dataloader() : val_dataloader();
}

}  // namespace lctl
