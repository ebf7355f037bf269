// LightningModule: gathering the running statistics of its batch normalisations anew.
#include <torch/nn/modules/batchnorm.h>

#include "worker/trainer/core/lightning_module.h"

namespace lctl {
namespace {

// Calls visit(layer) for every BatchNorm below; they are three types with the same members. Goes
// through the children: modules() of the root needs shared ownership of it.
template <typename Visit>
void for_each_batch_norm(const torch::nn::Module& root, const Visit& visit) {
  for (const auto& child : root.children()) {
    for (const auto& module : child->modules(/*include_self=*/true)) {
      if (auto* flat = dynamic_cast<torch::nn::BatchNorm1dImpl*>(module.get())) visit(*flat);
      if (auto* image = dynamic_cast<torch::nn::BatchNorm2dImpl*>(module.get())) visit(*image);
      if (auto* volume = dynamic_cast<torch::nn::BatchNorm3dImpl*>(module.get())) visit(*volume);
    }
  }
}

}  // namespace

bool LightningModule::has_batch_norm() const {
  bool found = false;
  for_each_batch_norm(*this, [&found](auto&) { found = true; });
  return found;
}

void LightningModule::begin_statistics(bool from_zero) {
  const torch::NoGradGuard no_grad;
  momenta_.clear();
  for_each_batch_norm(*this, [&](auto& layer) {
    // Without a count: frozen by BaseFinetuning, which keeps its statistics.
    if (from_zero && layer.num_batches_tracked.defined()) layer.reset_running_stats();
    momenta_.push_back(layer.options.momentum());
    layer.options.momentum(std::nullopt);
  });
}

void LightningModule::end_statistics() {
  std::size_t next = 0;
  for_each_batch_norm(*this, [&](auto& layer) {
    if (next < momenta_.size()) layer.options.momentum(momenta_[next++]);
  });
  momenta_.clear();
}

}  // namespace lctl
