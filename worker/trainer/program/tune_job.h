// The command `tune`.
#pragma once

#include "jobspec/config.h"
#include "worker/trainer/core/lightning_data_module.h"
#include "worker/trainer/core/trainable_module.h"
#include "worker/trainer/trainer/trainer.h"

namespace lctl {

// Runs the searches that `spec` asks for, batch size first, and writes tune.json into the working
// folder: `scale_batch_size` (the size), `lr_find` {`suggestion`, `lr`, `loss`}, and `state`, each
// tensor's digest. A search that was left out in a development run is null.
void tune(Trainer& trainer, TrainableModule& module, LightningDataModule& data,
          const jobspec::TuneSpec& spec);

}  // namespace lctl
