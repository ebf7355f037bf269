// The way of a batch from the loader to the module: precision, transfer hooks, device.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>

#include "worker/trainer/data/batch.h"

namespace lctl {

class LightningDataModule;
class Precision;
class TrainableModule;

// The transfer hooks are the data module's, which hands on to the module what it does not replace;
// the module's when `data` is null. Thread rule: caller locks.
Batch transferred(Batch batch, std::int64_t dataloader_idx, Precision& precision,
                  LightningDataModule* data, TrainableModule& module, c10::Device device);

}  // namespace lctl
