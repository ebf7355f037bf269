// Trainer(sync_batchnorm=true): Lightning's TorchSyncBatchNorm.
#pragma once

namespace lctl {

class Strategy;
class TrainableModule;

// From now on the batch normalisations of the module share their statistics over the strategy's
// ranks. Throws MisconfigurationException that names the layer when one is LibTorch's own, which
// cannot be switched (core/batch_norm.h has those that can). State and names stay as they are.
void apply_layer_sync(TrainableModule& module, Strategy& strategy);

// Back to statistics of the rank's own batches.
void revert_layer_sync(TrainableModule& module);

}  // namespace lctl
