#include <torch/nn/modules/conv.h>

#include <fmt/format.h>

#include <stdexcept>

#include "worker/trainer/models/layers/tables.h"

namespace lctl::layers {
namespace {

// torch's words for padding modes, as LibTorch's type.
template <typename Mode>
Mode padding_mode(const std::string& name) {
  if (name == "zeros") return torch::kZeros;
  if (name == "reflect") return torch::kReflect;
  if (name == "replicate") return torch::kReplicate;
  if (name == "circular") return torch::kCircular;
  throw std::invalid_argument(fmt::format(
      "padding_mode '{}' is unknown; there are zeros, reflect, replicate, circular", name));
}

template <std::size_t D, typename Module>
Layer convolution(const jobspec::Arguments& args) {
  using Options = torch::nn::ConvOptions<D>;
  const auto expanded = [&args](const char* name) {
    return torch::ExpandingArray<D>(sizes(args, name, D));
  };
  Options options(args.get_int("in_channels"), args.get_int("out_channels"),
                  expanded("kernel_size"));
  options.stride(expanded("stride"))
      .dilation(expanded("dilation"))
      .groups(args.get_int("groups"))
      .bias(args.get_bool("bias"))
      .padding_mode(
          padding_mode<typename Options::padding_mode_t>(args.get_string("padding_mode")));
  if (!args.get("padding").is_string()) {
    options.padding(expanded("padding"));
  } else if (args.get_string("padding") == "same") {
    options.padding(torch::kSame);
  } else if (args.get_string("padding") == "valid") {
    options.padding(torch::kValid);
  } else {
    throw std::invalid_argument(
        fmt::format("Invalid padding string '{}', should be one of 'valid', 'same'",
                    args.get_string("padding")));
  }
  return layer_around(std::make_shared<Module>(options));
}

template <std::size_t D, typename Module>
Layer transposed_convolution(const jobspec::Arguments& args) {
  const auto expanded = [&args](const char* name) {
    return torch::ExpandingArray<D>(sizes(args, name, D));
  };
  torch::nn::ConvTransposeOptions<D> options(args.get_int("in_channels"),
                                             args.get_int("out_channels"), expanded("kernel_size"));
  options.stride(expanded("stride"))
      .padding(expanded("padding"))
      .output_padding(expanded("output_padding"))
      .dilation(expanded("dilation"))
      .groups(args.get_int("groups"))
      .bias(args.get_bool("bias"));
  return layer_around(std::make_shared<Module>(options));
}

constexpr Entry kLayers[] = {
    {"Conv1d", convolution<1, torch::nn::Conv1dImpl>},
    {"Conv2d", convolution<2, torch::nn::Conv2dImpl>},
    {"Conv3d", convolution<3, torch::nn::Conv3dImpl>},
    {"ConvTranspose1d", transposed_convolution<1, torch::nn::ConvTranspose1dImpl>},
    {"ConvTranspose2d", transposed_convolution<2, torch::nn::ConvTranspose2dImpl>},
    {"ConvTranspose3d", transposed_convolution<3, torch::nn::ConvTranspose3dImpl>},
};

}  // namespace

std::span<const Entry> convolution_layers() { return kLayers; }

}  // namespace lctl::layers
