#include "worker/trainer/core/lightning_data_module.h"

#include "worker/trainer/core/class_name.h"
#include "worker/trainer/core/trainable_module.h"

namespace lctl {

std::string LightningDataModule::type_name() const { return class_name_of(typeid(*this)); }

Batch LightningDataModule::on_before_batch_transfer(Batch batch, std::int64_t dataloader_idx) {
  return module_->on_before_batch_transfer(std::move(batch), dataloader_idx);
}

Batch LightningDataModule::transfer_batch_to_device(Batch batch, c10::Device device,
                                                    std::int64_t dataloader_idx) {
  return module_->transfer_batch_to_device(std::move(batch), device, dataloader_idx);
}

Batch LightningDataModule::on_after_batch_transfer(Batch batch, std::int64_t dataloader_idx) {
  return module_->on_after_batch_transfer(std::move(batch), dataloader_idx);
}

}  // namespace lctl
