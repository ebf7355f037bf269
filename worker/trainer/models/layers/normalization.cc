#include <ATen/ops/group_norm.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <torch/nn/modules/instancenorm.h>

#include <stdexcept>

#include "worker/trainer/core/batch_norm.h"
#include "worker/trainer/models/layers/tables.h"

namespace lctl::layers {
namespace {

template <typename Module>
Layer batch_norm(const jobspec::Arguments& args) {
  torch::nn::BatchNormOptions options(args.get_int("num_features"));
  options.eps(args.get_double("eps"))
      .momentum(args.get_optional_double("momentum"))
      .affine(args.get_bool("affine"))
      .track_running_stats(args.get_bool("track_running_stats"));
  return layer_around(std::make_shared<Module>(options));
}

template <typename Module>
Layer instance_norm(const jobspec::Arguments& args) {
  torch::nn::InstanceNormOptions options(args.get_int("num_features"));
  options.eps(args.get_double("eps"))
      .momentum(args.get_optional_double("momentum").value_or(0.0))
      .affine(args.get_bool("affine"))
      .track_running_stats(args.get_bool("track_running_stats"));
  return layer_around(std::make_shared<Module>(options));
}

// A scale of ones and, with bias, an offset of zeros; undefined without.
class Affine final : public torch::nn::Module {
 public:
  Affine(std::string name, const std::vector<std::int64_t>& shape, bool scale, bool offset)
      : Module(std::move(name)) {
    weight = register_parameter("weight", scale ? at::ones(shape) : at::Tensor(), scale);
    bias = register_parameter("bias", offset ? at::zeros(shape) : at::Tensor(), offset);
  }
  at::Tensor weight;
  at::Tensor bias;
};

Layer layer_norm(const jobspec::Arguments& args) {
  const std::vector<std::int64_t> shape = args.get_ints("normalized_shape");
  const double eps = args.get_double("eps");
  const bool scale = args.get_bool("elementwise_affine");
  auto module = std::make_shared<Affine>("LayerNorm", shape, scale, scale && args.get_bool("bias"));
  const Affine* const affine = module.get();
  return {std::move(module), [affine, shape, eps](const at::Tensor& x) {
            return at::layer_norm(x, shape, affine->weight, affine->bias, eps);
          }};
}

Layer group_norm(const jobspec::Arguments& args) {
  const std::int64_t groups = args.get_int("num_groups");
  const std::int64_t channels = args.get_int("num_channels");
  if (channels % groups != 0) {
    throw std::invalid_argument(
        fmt::format("num_channels ({}) must be divisible by num_groups ({})", channels, groups));
  }
  const double eps = args.get_double("eps");
  const bool both = args.get_bool("affine");
  auto module =
      std::make_shared<Affine>("GroupNorm", std::vector<std::int64_t>{channels}, both, both);
  const Affine* const affine = module.get();
  return {std::move(module), [affine, groups, eps](const at::Tensor& x) {
            return at::group_norm(x, groups, affine->weight, affine->bias, eps);
          }};
}

Layer rms_norm(const jobspec::Arguments& args) {
  const std::vector<std::int64_t> shape = args.get_ints("normalized_shape");
  const std::optional<double> eps = args.get_optional_double("eps");
  auto module =
      std::make_shared<Affine>("RMSNorm", shape, args.get_bool("elementwise_affine"), false);
  const Affine* const affine = module.get();
  return {std::move(module), [affine, shape, eps](const at::Tensor& x) {
            return at::rms_norm(x, shape, affine->weight, eps);
          }};
}

constexpr Entry kLayers[] = {
    {"BatchNorm1d", batch_norm<BatchNorm1dImpl>},
    {"BatchNorm2d", batch_norm<BatchNorm2dImpl>},
    {"BatchNorm3d", batch_norm<BatchNorm3dImpl>},
    {"InstanceNorm1d", instance_norm<torch::nn::InstanceNorm1dImpl>},
    {"InstanceNorm2d", instance_norm<torch::nn::InstanceNorm2dImpl>},
    {"LayerNorm", layer_norm},
    {"GroupNorm", group_norm},
    {"RMSNorm", rms_norm},
};

}  // namespace

std::span<const Entry> normalization_layers() { return kLayers; }

}  // namespace lctl::layers
