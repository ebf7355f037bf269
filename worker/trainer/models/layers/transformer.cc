#include "worker/trainer/models/layers/transformer.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_native_multi_head_attention.h>
#include <ATen/ops/_transformer_encoder_layer_fwd.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <torch/nn/init.h>

#include <algorithm>
#include <stdexcept>

#include "worker/trainer/core/forward_observer.h"
#include "worker/trainer/models/layers/tables.h"

namespace lctl::layers {
namespace {

// Holds the place that nn.Dropout has among the children in Python; the operation is ours.
class Placeholder final : public torch::nn::Module {
 public:
  Placeholder() : Module("Dropout") {}
};

std::shared_ptr<torch::nn::LinearImpl> make_linear(std::int64_t in, std::int64_t out, bool bias) {
  return std::make_shared<torch::nn::LinearImpl>(torch::nn::LinearOptions(in, out).bias(bias));
}

}  // namespace

LastLayerNorm::LastLayerNorm(std::int64_t size, double eps, bool with_bias)
    : Module("LayerNorm"), eps_(eps) {
  weight = register_parameter("weight", at::ones({size}));
  bias = register_parameter("bias", with_bias ? at::zeros({size}) : at::Tensor(), with_bias);
}

at::Tensor LastLayerNorm::forward(const at::Tensor& x) const {
  return at::layer_norm(x, weight.sizes(), weight, bias, eps_);
}

// The order of draws is Python's: the output projection is made first, then the weights of the
// input projection are drawn.
SelfAttention::SelfAttention(const TransformerEncoderOptions& options)
    : Module("MultiheadAttention"), options_(options) {
  const std::int64_t size = options.d_model;
  in_proj_weight = register_parameter("in_proj_weight", at::empty({3 * size, size}));
  in_proj_bias = register_parameter(
      "in_proj_bias", options.bias ? at::zeros({3 * size}) : at::Tensor(), options.bias);
  out_proj =
      register_module("out_proj", std::make_shared<NonDynamicallyQuantizableLinear>(
                                      torch::nn::LinearOptions(size, size).bias(options.bias)));
  torch::nn::init::xavier_uniform_(in_proj_weight);
  if (options.bias) torch::nn::init::zeros_(out_proj->bias);
}

// torch.nn.functional.multi_head_attention_forward, whose views decide in which layout the kernels
// get their operands.
at::Tensor SelfAttention::forward(const at::Tensor& input) const {
  const bool batched = input.dim() == 3;
  const bool swap = batched && options_.batch_first;
  const at::Tensor x = swap ? input.transpose(1, 0) : batched ? input : input.unsqueeze(1);
  const std::int64_t length = x.size(0);
  const std::int64_t batch = x.size(1);
  const std::int64_t size = options_.d_model;
  const std::int64_t heads = options_.nhead;
  const at::Tensor projected = at::linear(x, in_proj_weight, in_proj_bias)
                                   .unflatten(-1, {3, size})
                                   .unsqueeze(0)
                                   .transpose(0, -2)
                                   .squeeze(-2)
                                   .contiguous();
  const auto part = [&](std::int64_t index) {
    return projected.select(0, index)
        .view({length, batch * heads, size / heads})
        .transpose(0, 1)
        .view({batch, heads, length, size / heads});
  };
  const at::Tensor q = part(0);
  const at::Tensor k = part(1);
  const at::Tensor v = part(2);
  const at::Tensor attended = at::scaled_dot_product_attention(
      q, k, v, std::nullopt, is_training() ? options_.dropout : 0.0, /*is_causal=*/false);
  const at::Tensor joined =
      attended.permute({2, 0, 1, 3}).contiguous().view({batch * length, size});
  const at::Tensor output =
      at::linear(joined, out_proj->weight, out_proj->bias).view({length, batch, size});
  return swap ? output.transpose(1, 0) : batched ? output : output.squeeze(1);
}

at::Tensor SelfAttention::forward_fused(const at::Tensor& x) const {
  return std::get<0>(at::_native_multi_head_attention(
      x, x, x, options_.d_model, options_.nhead, in_proj_weight, in_proj_bias, out_proj->weight,
      out_proj->bias, /*mask=*/std::nullopt, /*need_weights=*/false));
}

TransformerEncoderLayer::TransformerEncoderLayer(const TransformerEncoderOptions& options)
    : Module("TransformerEncoderLayer"), options_(options) {
  if (options.d_model % options.nhead != 0) {
    throw std::invalid_argument(fmt::format("d_model ({}) must be divisible by nhead ({})",
                                            options.d_model, options.nhead));
  }
  const std::int64_t size = options.d_model;
  const auto norm = [&] {
    return std::make_shared<LastLayerNorm>(size, options.layer_norm_eps, options.bias);
  };
  self_attn_ = register_module("self_attn", std::make_shared<SelfAttention>(options));
  linear1_ = register_module("linear1", make_linear(size, options.dim_feedforward, options.bias));
  register_module("dropout", std::make_shared<Placeholder>());
  linear2_ = register_module("linear2", make_linear(options.dim_feedforward, size, options.bias));
  norm1_ = register_module("norm1", norm());
  norm2_ = register_module("norm2", norm());
  register_module("dropout1", std::make_shared<Placeholder>());
  register_module("dropout2", std::make_shared<Placeholder>());
}

at::Tensor TransformerEncoderLayer::forward(const at::Tensor& x) {
  if (observation::current != nullptr && observation::current->looks_inside_layers()) [[unlikely]]
    return observed(x);
  if (takes_fast_path(x)) return fast_path(x);
  if (options_.norm_first) {
    const at::Tensor y = x + attend(norm1_->forward(x));
    return y + feed_forward(norm2_->forward(y));
  }
  const at::Tensor y = norm1_->forward(x + attend(x));
  return norm2_->forward(y + feed_forward(y));
}

// Step by step, each module's call reported.
at::Tensor TransformerEncoderLayer::observed(const at::Tensor& x) {
  const bool fused_attention = takes_fast_path(x);
  const auto linear = [](const std::shared_ptr<torch::nn::LinearImpl>& module,
                         const at::Tensor& in) {
    return observation::reported(*module, in,
                                 [&] { return at::linear(in, module->weight, module->bias); });
  };
  const auto norm = [](const std::shared_ptr<LastLayerNorm>& module, const at::Tensor& in) {
    return observation::reported(*module, in, [&] { return module->forward(in); });
  };
  const auto dropped = [&](const char* name, const at::Tensor& in) {
    return observation::reported(*named_children()[name], in, [&] { return drop(in); });
  };
  // query, key, value, and the arguments that Python names: all are None or a flag, without a size.
  const auto attended = [&](const at::Tensor& in) {
    const Batch none;
    const Batch arguments(Batch::List{in, in, in, none, none, none, none});
    const Batch output = observation::reported(*self_attn_, arguments, [&]() -> Batch {
      const at::Tensor tensor =
          fused_attention ? self_attn_->forward_fused(in) : self_attn_->forward(in);
      return Batch(Batch::List{tensor, none});
    });
    return dropped("dropout1", output[0].tensor());
  };
  const auto fed_forward = [&](const at::Tensor& in) {
    const at::Tensor hidden = linear(linear1_, in);
    const at::Tensor active = options_.gelu ? at::gelu(hidden) : at::relu(hidden);
    return dropped("dropout2", linear(linear2_, dropped("dropout", active)));
  };
  if (options_.norm_first) {
    const at::Tensor y = x + attended(norm(norm1_, x));
    return y + fed_forward(norm(norm2_, y));
  }
  const at::Tensor y = norm(norm1_, x + attended(x));
  return norm(norm2_, y + fed_forward(y));
}

// When Python's layer evaluates with one fused kernel instead.
bool TransformerEncoderLayer::takes_fast_path(const at::Tensor& x) const {
  if (is_training() || x.dim() != 3 || !options_.batch_first || !options_.bias) return false;
  if (options_.nhead % 2 == 1 || at::autocast::is_autocast_enabled(x.device().type())) return false;
  if (!at::GradMode::is_enabled()) return true;
  const auto needs_grad = [](const at::Tensor& tensor) { return tensor.requires_grad(); };
  const auto all = parameters();
  return !needs_grad(x) && std::none_of(all.begin(), all.end(), needs_grad);
}

at::Tensor TransformerEncoderLayer::fast_path(const at::Tensor& x) const {
  return at::_transformer_encoder_layer_fwd(
      x, options_.d_model, options_.nhead, self_attn_->in_proj_weight, self_attn_->in_proj_bias,
      self_attn_->out_proj->weight, self_attn_->out_proj->bias, options_.gelu, options_.norm_first,
      options_.layer_norm_eps, norm1_->weight, norm1_->bias, norm2_->weight, norm2_->bias,
      linear1_->weight, linear1_->bias, linear2_->weight, linear2_->bias);
}

at::Tensor TransformerEncoderLayer::attend(const at::Tensor& x) const {
  return drop(self_attn_->forward(x));
}

at::Tensor TransformerEncoderLayer::feed_forward(const at::Tensor& x) const {
  const at::Tensor hidden = at::linear(x, linear1_->weight, linear1_->bias);
  const at::Tensor active = options_.gelu ? at::gelu(hidden) : at::relu(hidden);
  return drop(at::linear(drop(active), linear2_->weight, linear2_->bias));
}

at::Tensor TransformerEncoderLayer::drop(const at::Tensor& x) const {
  return at::dropout(x, options_.dropout, is_training());
}

namespace {

Layer transformer_encoder(const jobspec::Arguments& args) {
  TransformerEncoderOptions options;
  options.d_model = args.get_int("d_model");
  options.nhead = args.get_int("nhead");
  options.dim_feedforward = args.get_int("dim_feedforward");
  options.dropout = args.get_double("dropout");
  options.gelu = args.get_string("activation") == "gelu";
  options.layer_norm_eps = args.get_double("layer_norm_eps");
  options.batch_first = args.get_bool("batch_first");
  options.norm_first = args.get_bool("norm_first");
  options.bias = args.get_bool("bias");
  return layer_around(std::make_shared<TransformerEncoderLayer>(options));
}

constexpr Entry kLayers[] = {{"TransformerEncoderLayer", transformer_encoder}};

}  // namespace

std::span<const Entry> transformer_layers() { return kLayers; }

}  // namespace lctl::layers
