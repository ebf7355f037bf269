#include <ATen/ops/alpha_dropout.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/feature_dropout.h>
#include <ATen/ops/pixel_shuffle.h>
#include <torch/nn/functional/upsampling.h>

#include <stdexcept>

#include "worker/trainer/models/layers/tables.h"

namespace lctl::layers {
namespace {

template <auto Drop, auto DropInPlace>
Layer drop(const char* name, const jobspec::Arguments& args) {
  return operation(name, [p = args.get_double("p"), in_place = args.get_bool("inplace")](
                             const at::Tensor& x, bool training) {
    if (!in_place) return Drop(x, p, training);
    at::Tensor target = x;
    return DropInPlace(target, p, training);
  });
}

Layer dropout(const jobspec::Arguments& args) {
  return drop<at::dropout, at::dropout_>("Dropout", args);
}
Layer alpha_dropout(const jobspec::Arguments& args) {
  return drop<at::alpha_dropout, at::alpha_dropout_>("AlphaDropout", args);
}
Layer dropout2d(const jobspec::Arguments& args) {
  return drop<at::feature_dropout, at::feature_dropout_>("Dropout2d", args);
}
Layer dropout3d(const jobspec::Arguments& args) {
  return drop<at::feature_dropout, at::feature_dropout_>("Dropout3d", args);
}

// Takes (channels, length) without a batch dimension too.
Layer dropout1d(const jobspec::Arguments& args) {
  return operation("Dropout1d", [p = args.get_double("p")](const at::Tensor& x, bool training) {
    if (x.dim() != 2) return at::feature_dropout(x, p, training);
    return at::feature_dropout(x.unsqueeze(0), p, training).squeeze(0);
  });
}

Layer flatten(const jobspec::Arguments& args) {
  return operation("Flatten", [first = args.get_int("start_dim"), last = args.get_int("end_dim")](
                                  const at::Tensor& x) { return x.flatten(first, last); });
}

Layer unflatten(const jobspec::Arguments& args) {
  return operation("Unflatten",
                   [dim = args.get_int("dim"), shape = args.get_ints("unflattened_size")](
                       const at::Tensor& x) { return x.unflatten(dim, shape); });
}

Layer identity(const jobspec::Arguments& /*args*/) {
  return operation("Identity", [](const at::Tensor& x) { return x; });
}

// lctl's own: one index along one dimension, for example the last step of a sequence.
Layer select(const jobspec::Arguments& args) {
  return operation("Select", [dim = args.get_int("dim"), index = args.get_int("index")](
                                 const at::Tensor& x) { return x.select(dim, index); });
}

// lctl's own: for a loss that wants classes in the second dimension, as cross_entropy of sequences.
Layer transpose(const jobspec::Arguments& args) {
  return operation("Transpose", [dim0 = args.get_int("dim0"), dim1 = args.get_int("dim1")](
                                    const at::Tensor& x) { return x.transpose(dim0, dim1); });
}

Layer pixel_shuffle(const jobspec::Arguments& args) {
  return operation("PixelShuffle", [factor = args.get_int("upscale_factor")](const at::Tensor& x) {
    return at::pixel_shuffle(x, factor);
  });
}

torch::nn::functional::InterpolateFuncOptions::mode_t upsample_mode(const std::string& name) {
  if (name == "nearest") return torch::kNearest;
  if (name == "nearest-exact") return torch::kNearestExact;
  if (name == "linear") return torch::kLinear;
  if (name == "bilinear") return torch::kBilinear;
  if (name == "bicubic") return torch::kBicubic;
  if (name == "trilinear") return torch::kTrilinear;
  throw std::invalid_argument("mode '" + name + "' is unknown");
}

// One number counts for each dimension behind batch and channels, as in torch.
Layer upsample(const jobspec::Arguments& args) {
  const bool by_size = !args.get("size").is_null();
  const bool by_factor = !args.get("scale_factor").is_null();
  if (by_size == by_factor) {
    throw std::invalid_argument(by_size ? "only one of size or scale_factor should be defined"
                                        : "either size or scale_factor should be defined");
  }
  torch::nn::functional::InterpolateFuncOptions options;
  options.mode(upsample_mode(args.get_string("mode")))
      .align_corners(args.get_optional_bool("align_corners"))
      .recompute_scale_factor(args.get_optional_bool("recompute_scale_factor"));
  const auto for_each_dimension = [](auto values, const at::Tensor& x) {
    if (values.size() == 1 && x.dim() > 2) values.resize(x.dim() - 2, values.front());
    return values;
  };
  const auto size = by_size ? args.get_ints("size") : std::vector<std::int64_t>();
  const auto factor = by_factor ? args.get_doubles("scale_factor") : std::vector<double>();
  return operation("Upsample", [=](const at::Tensor& x) {
    torch::nn::functional::InterpolateFuncOptions here = options;
    if (!size.empty()) here.size(for_each_dimension(size, x));
    if (!factor.empty()) here.scale_factor(for_each_dimension(factor, x));
    return torch::nn::functional::interpolate(x, here);
  });
}

constexpr Entry kLayers[] = {
    {"Dropout", dropout},     {"Dropout1d", dropout1d},        {"Dropout2d", dropout2d},
    {"Dropout3d", dropout3d}, {"AlphaDropout", alpha_dropout}, {"Flatten", flatten},
    {"Unflatten", unflatten}, {"Identity", identity},          {"Select", select},
    {"Transpose", transpose}, {"PixelShuffle", pixel_shuffle}, {"Upsample", upsample},
};

}  // namespace

std::span<const Entry> shape_layers() { return kLayers; }

}  // namespace lctl::layers
