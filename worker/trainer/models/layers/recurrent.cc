#include <torch/nn/modules/rnn.h>

#include "worker/trainer/models/layers/tables.h"

namespace lctl::layers {
namespace {

template <typename Options>
Options common(const jobspec::Arguments& args) {
  Options options(args.get_int("input_size"), args.get_int("hidden_size"));
  options.num_layers(args.get_int("num_layers"))
      .bias(args.get_bool("bias"))
      .batch_first(args.get_bool("batch_first"))
      .dropout(args.get_double("dropout"))
      .bidirectional(args.get_bool("bidirectional"));
  return options;
}

Batch as_batch(const at::Tensor& tensor) { return tensor; }
Batch as_batch(const std::tuple<at::Tensor, at::Tensor>& pair) {
  return Batch(Batch::List{std::get<0>(pair), std::get<1>(pair)});
}

// The outputs of all steps; the final state is left out.
template <typename Module>
Layer outputs_of(std::shared_ptr<Module> module) {
  Module* const raw = module.get();
  return {std::move(module), [raw](const at::Tensor& x) { return std::get<0>(raw->forward(x)); },
          [raw](const at::Tensor& x) -> Batch {
            const auto [outputs, state] = raw->forward(x);
            return Batch(Batch::List{outputs, as_batch(state)});
          }};
}

Layer lstm(const jobspec::Arguments& args) {
  auto options = common<torch::nn::LSTMOptions>(args);
  options.proj_size(args.get_int("proj_size"));
  return outputs_of(std::make_shared<torch::nn::LSTMImpl>(options));
}

Layer gru(const jobspec::Arguments& args) {
  return outputs_of(std::make_shared<torch::nn::GRUImpl>(common<torch::nn::GRUOptions>(args)));
}

Layer rnn(const jobspec::Arguments& args) {
  auto options = common<torch::nn::RNNOptions>(args);
  if (args.get_string("nonlinearity") == "relu") {
    options.nonlinearity(torch::kReLU);
  } else {
    options.nonlinearity(torch::kTanh);
  }
  return outputs_of(std::make_shared<torch::nn::RNNImpl>(options));
}

constexpr Entry kLayers[] = {{"LSTM", lstm}, {"GRU", gru}, {"RNN", rnn}};

}  // namespace

std::span<const Entry> recurrent_layers() { return kLayers; }

}  // namespace lctl::layers
