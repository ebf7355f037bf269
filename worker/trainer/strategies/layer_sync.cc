#include "worker/trainer/strategies/layer_sync.h"

#include <fmt/format.h>
#include <torch/nn/module.h>

#include <string>

#include "worker/trainer/core/batch_norm.h"
#include "worker/trainer/core/errors.h"
#include "worker/trainer/core/trainable_module.h"

namespace lctl {
namespace {

// 1, 2 or 3 for a batch normalisation of LibTorch's, 0 for all else.
int batch_norm_dimensions(const torch::nn::Module& module) {
  if (dynamic_cast<const torch::nn::BatchNorm1dImpl*>(&module) != nullptr) return 1;
  if (dynamic_cast<const torch::nn::BatchNorm2dImpl*>(&module) != nullptr) return 2;
  if (dynamic_cast<const torch::nn::BatchNorm3dImpl*>(&module) != nullptr) return 3;
  return 0;
}

// Null strategy: reverts.
void switch_layers(torch::nn::Module& module, const std::string& path, Strategy* strategy) {
  if (auto* layer = dynamic_cast<SharedStatistics*>(&module)) {
    layer->share_statistics(strategy);
  } else if (const int dimensions = batch_norm_dimensions(module);
             dimensions != 0 && strategy != nullptr) {
    throw MisconfigurationException(fmt::format(
        "`Trainer(sync_batchnorm=true)`: the layer '{0}' is a `torch::nn::BatchNorm{1}d`, whose "
        "statistics cannot be shared between ranks. Make it an `lctl::BatchNorm{1}d` "
        "(worker/trainer/core/batch_norm.h), which has the same options, state and names.",
        path, dimensions));
  }
  for (const auto& child : module.named_children()) {
    switch_layers(*child.value(), path.empty() ? child.key() : path + "." + child.key(), strategy);
  }
}

void switch_module(TrainableModule& module, Strategy* strategy) {
  // Modules that are not of LibTorch have no such layers.
  if (auto* root = dynamic_cast<torch::nn::Module*>(&module)) switch_layers(*root, "", strategy);
}

}  // namespace

void apply_layer_sync(TrainableModule& module, Strategy& strategy) {
  switch_module(module, &strategy);
}

void revert_layer_sync(TrainableModule& module) { switch_module(module, nullptr); }

}  // namespace lctl
