// torch.nn.TransformerEncoderLayer with the operations of its Python code: LibTorch's own class
// computes attention in another way, and so gets other bits.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>

#include <cstdint>
#include <memory>

namespace lctl::layers {

struct TransformerEncoderOptions {
  std::int64_t d_model = 0;
  std::int64_t nhead = 0;
  std::int64_t dim_feedforward = 2048;
  double dropout = 0.1;
  bool gelu = false;  // instead of ReLU
  double layer_norm_eps = 1e-5;
  bool batch_first = false;
  bool norm_first = false;
  bool bias = true;
};

// torch.nn.LayerNorm over the last dimension. Thread rule: one strand only.
class LastLayerNorm final : public torch::nn::Module {
 public:
  LastLayerNorm(std::int64_t size, double eps, bool bias);
  at::Tensor forward(const at::Tensor& x) const;

  at::Tensor weight;
  at::Tensor bias;  // undefined without

 private:
  double eps_;
};

// torch's class of an attention's output projection: a Linear by another name.
class NonDynamicallyQuantizableLinear final : public torch::nn::LinearImpl {
 public:
  using LinearImpl::LinearImpl;
};

// torch.nn.MultiheadAttention of a sequence with itself, weights not asked for.
// Thread rule: one strand only.
class SelfAttention final : public torch::nn::Module {
 public:
  explicit SelfAttention(const TransformerEncoderOptions& options);
  at::Tensor forward(const at::Tensor& x) const;  // [batch, length, d_model] if batch_first
  // The same by the kernel that Python's class evaluates with: for batch_first, with a bias and an
  // even number of heads.
  at::Tensor forward_fused(const at::Tensor& x) const;

  at::Tensor in_proj_weight;
  at::Tensor in_proj_bias;  // undefined without
  std::shared_ptr<NonDynamicallyQuantizableLinear> out_proj;

 private:
  TransformerEncoderOptions options_;
};

// Throws std::invalid_argument if nhead does not divide d_model. Thread rule: one strand only.
class TransformerEncoderLayer final : public torch::nn::Module {
 public:
  explicit TransformerEncoderLayer(const TransformerEncoderOptions& options);

  // [length, batch, d_model], with batch_first [batch, length, d_model]; or [length, d_model].
  at::Tensor forward(const at::Tensor& x);

 private:
  at::Tensor observed(const at::Tensor& x);
  bool takes_fast_path(const at::Tensor& x) const;
  at::Tensor fast_path(const at::Tensor& x) const;
  at::Tensor attend(const at::Tensor& x) const;
  at::Tensor feed_forward(const at::Tensor& x) const;
  at::Tensor drop(const at::Tensor& x) const;

  TransformerEncoderOptions options_;
  std::shared_ptr<SelfAttention> self_attn_;
  std::shared_ptr<torch::nn::LinearImpl> linear1_;
  std::shared_ptr<torch::nn::LinearImpl> linear2_;
  std::shared_ptr<LastLayerNorm> norm1_;
  std::shared_ptr<LastLayerNorm> norm2_;
};

}  // namespace lctl::layers
