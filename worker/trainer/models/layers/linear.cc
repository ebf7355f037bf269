#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>

#include "worker/trainer/models/layers/tables.h"

namespace lctl::layers {
namespace {

Layer linear(const jobspec::Arguments& args) {
  return layer_around(std::make_shared<torch::nn::LinearImpl>(
      torch::nn::LinearOptions(args.get_int("in_features"), args.get_int("out_features"))
          .bias(args.get_bool("bias"))));
}

Layer embedding(const jobspec::Arguments& args) {
  torch::nn::EmbeddingOptions options(args.get_int("num_embeddings"),
                                      args.get_int("embedding_dim"));
  options.padding_idx(args.get_optional_int("padding_idx"))
      .max_norm(args.get_optional_double("max_norm"))
      .norm_type(args.get_double("norm_type"))
      .scale_grad_by_freq(args.get_bool("scale_grad_by_freq"));
  return layer_around(std::make_shared<torch::nn::EmbeddingImpl>(options));
}

constexpr Entry kLayers[] = {{"Linear", linear}, {"Embedding", embedding}};

}  // namespace

std::span<const Entry> linear_layers() { return kLayers; }

}  // namespace lctl::layers
