// Where the samples come from: Lightning's data module.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/trainer/checkpoint/value.h"
#include "worker/trainer/data/batch.h"
#include "worker/trainer/data/data_loader.h"

namespace lctl {

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

  // A non-empty state is kept in checkpoints under the class name.
  virtual checkpoint::Dict state_dict() { return {}; }
  virtual void load_state_dict(const checkpoint::Dict& /*state*/) {}

  virtual std::string type_name() const = 0;

  // The argument that batch size search changes; 0 = this module has none.
  virtual std::int64_t batch_size() const { return 0; }
  virtual void set_batch_size(std::int64_t /*size*/) {}

  void save_hyperparameters(checkpoint::Dict values, std::string name = "kwargs") {
    hparams_ = std::move(values);
    hparams_name_ = std::move(name);
  }
  const checkpoint::Dict& hparams() const { return hparams_; }
  const std::string& hparams_name() const { return hparams_name_; }

  Trainer* trainer() const { return trainer_; }
  void attach(Trainer* trainer) { trainer_ = trainer; }

 private:
  Trainer* trainer_ = nullptr;
  checkpoint::Dict hparams_;
  std::string hparams_name_;
};

}  // namespace lctl
