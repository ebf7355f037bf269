// Batch normalisation that Trainer(sync_batchnorm=true) can share between ranks.
//
//   lctl::BatchNorm2d norm = nullptr;                       // instead of torch::nn::BatchNorm2d
//   norm = register_module("norm", lctl::BatchNorm2d(64));  // the same options, state and names
//
// LibTorch's own layers cannot be switched: their forward is not virtual.
#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/pimpl.h>

namespace lctl {

class Strategy;

// What such a layer has beside torch's. While a strategy is set, the batch that a training forward
// normalises by, and that running statistics follow, is that of all ranks together, as with
// torch.nn.SyncBatchNorm; forward and backward are then collective. Thread rule: one strand only
// (the training thread, and autograd's while that waits for it).
class SharedStatistics {
 public:
  // Null: statistics of the rank's own batches. It must outlive the sharing.
  void share_statistics(Strategy* strategy) { strategy_ = strategy; }
  bool shares_statistics() const { return strategy_ != nullptr; }

 protected:
  ~SharedStatistics() = default;

  Strategy* strategy_ = nullptr;
};

// One forward over all ranks: normalises `input` by the common batch, scales by weight and bias
// (undefined = none), and moves the running statistics (undefined = none) by `factor` towards the
// common ones. Collective, and so is its backward.
at::Tensor sync_batch_norm(const at::Tensor& input, const at::Tensor& weight,
                           const at::Tensor& bias, const at::Tensor& running_mean,
                           const at::Tensor& running_var, double eps, double factor,
                           Strategy& strategy);

template <typename Torch>
class SwitchableBatchNorm : public Torch, public SharedStatistics {
 public:
  explicit SwitchableBatchNorm(const torch::nn::BatchNormOptions& options) : Torch(options) {}

  at::Tensor forward(const at::Tensor& input) {
    if (strategy_ == nullptr || !this->is_training()) return Torch::forward(input);
    this->_check_input_dim(input);
    double factor = this->options.momentum().value_or(0.0);
    if (this->num_batches_tracked.defined()) {
      this->num_batches_tracked.add_(1);
      if (!this->options.momentum())  // a cumulative average
        factor = 1.0 / this->num_batches_tracked.template item<double>();
    }
    return sync_batch_norm(input, this->weight, this->bias, this->running_mean, this->running_var,
                           this->options.eps(), factor, *strategy_);
  }
};

class BatchNorm1dImpl final : public SwitchableBatchNorm<torch::nn::BatchNorm1dImpl> {
 public:
  using SwitchableBatchNorm::SwitchableBatchNorm;
};
TORCH_MODULE(BatchNorm1d);

class BatchNorm2dImpl final : public SwitchableBatchNorm<torch::nn::BatchNorm2dImpl> {
 public:
  using SwitchableBatchNorm::SwitchableBatchNorm;
};
TORCH_MODULE(BatchNorm2d);

class BatchNorm3dImpl final : public SwitchableBatchNorm<torch::nn::BatchNorm3dImpl> {
 public:
  using SwitchableBatchNorm::SwitchableBatchNorm;
};
TORCH_MODULE(BatchNorm3d);

}  // namespace lctl
