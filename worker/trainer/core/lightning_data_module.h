// Where the samples come from: Lightning's data module.
#pragma once

#include <c10/core/Device.h>

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "worker/trainer/checkpoint/value.h"
#include "worker/trainer/core/hook.h"
#include "worker/trainer/data/batch.h"
#include "worker/trainer/data/data_loader.h"
#include "worker/trainer/data/loaded_bytes.h"

namespace lctl {

class TrainableModule;
class Trainer;

// prepare_data runs on one rank per node, setup on every rank and for every stage; loaders are
// asked for when a loop first needs them, and may be asked for again. Names and order are
// Lightning's. Thread rule: one strand only (the training thread).
class LightningDataModule {
 public:
  virtual ~LightningDataModule() = default;

  virtual void prepare_data() {}
  virtual void setup(std::string_view stage) {
    static_cast<void>(stage);
  }  // fit validate test predict
  virtual void teardown(std::string_view stage) { static_cast<void>(stage); }

  // Null / empty = this module has none.
  virtual std::shared_ptr<DataLoader> train_dataloader() { return nullptr; }
  virtual std::vector<std::shared_ptr<DataLoader>> val_dataloader() { return {}; }
  virtual std::vector<std::shared_ptr<DataLoader>> test_dataloader() { return {}; }
  virtual std::vector<std::shared_ptr<DataLoader>> predict_dataloader() { return {}; }

  virtual void on_exception(const std::exception& /*error*/) {}

  // On the way to the device, where this class replaces them; else the module's are called.
  virtual Batch on_before_batch_transfer(Batch batch, std::int64_t dataloader_idx);
  virtual Batch transfer_batch_to_device(Batch batch, c10::Device device,
                                         std::int64_t dataloader_idx);
  virtual Batch on_after_batch_transfer(Batch batch, std::int64_t dataloader_idx);

  // A non-empty state is kept in checkpoints under the class name.
  virtual checkpoint::Dict state_dict() { return {}; }
  virtual void load_state_dict(const checkpoint::Dict& /*state*/) {}

  // The class, without namespaces.
  virtual std::string type_name() const;

  // The argument that batch size search changes; 0 = this module has none.
  virtual std::int64_t batch_size() const { return 0; }
  virtual void set_batch_size(std::int64_t /*size*/) {}

  void save_hyperparameters(checkpoint::Dict values, std::string name = "kwargs") {
    hparams_ = std::move(values);
    hparams_name_ = std::move(name);
  }
  const checkpoint::Dict& hparams() const { return hparams_; }
  const std::string& hparams_name() const { return hparams_name_; }

  // prepare_data runs on local rank 0 of every node, or else on global rank 0 only.
  bool prepare_data_per_node = true;

  Trainer* trainer() const { return trainer_; }

  // Whether the concrete class replaces val_dataloader or a transfer hook; see
  // TrainableModule::overrides(). Of a class that was never remembered: val_dataloader alone.
  bool overrides(Hook hook) const { return overridden_[static_cast<std::size_t>(hook)]; }
  template <typename T>
  static void remember_overrides(T& data);

  // Bytes of samples in memory that were loaded since this module was made (loaded_bytes.h).
  std::int64_t loaded_since_made() const { return loaded_bytes() - loaded_before_; }

  // The trainer's side of the connection. Both outlive the run.
  void attach(Trainer* trainer, TrainableModule* module) {
    trainer_ = trainer;
    module_ = module;
  }

 private:
  std::int64_t loaded_before_ = loaded_bytes();
  Trainer* trainer_ = nullptr;
  TrainableModule* module_ = nullptr;
  std::bitset<kHookCount> overridden_ =
      std::bitset<kHookCount>().set(static_cast<std::size_t>(Hook::val_dataloader));
  checkpoint::Dict hparams_;
  std::string hparams_name_;
};

template <typename T>
void LightningDataModule::remember_overrides(T& data) {
#define LCTL_REMEMBER(hook)                                                     \
  data.LightningDataModule::overridden_[static_cast<std::size_t>(Hook::hook)] = \
      !std::is_same_v<decltype(&T::hook), decltype(&LightningDataModule::hook)>;
  LCTL_REMEMBER(val_dataloader)
  LCTL_REMEMBER(on_before_batch_transfer)
  LCTL_REMEMBER(transfer_batch_to_device)
  LCTL_REMEMBER(on_after_batch_transfer)
#undef LCTL_REMEMBER
}

}  // namespace lctl
