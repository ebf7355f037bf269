#include <ATen/ops/celu.h>
#include <ATen/ops/elu.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/glu.h>
#include <ATen/ops/hardshrink.h>
#include <ATen/ops/hardsigmoid.h>
#include <ATen/ops/hardswish.h>
#include <ATen/ops/hardtanh.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/mish.h>
#include <ATen/ops/prelu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/relu6.h>
#include <ATen/ops/rrelu.h>
#include <ATen/ops/selu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/softshrink.h>
#include <ATen/ops/threshold.h>

#include "worker/trainer/models/layers/tables.h"

namespace lctl::layers {
namespace {

// An element-wise function that torch also has in place.
template <typename Fn, typename InPlace>
Layer elementwise(const char* name, const jobspec::Arguments& args, Fn fn, InPlace in_place) {
  if (!args.get_bool("inplace")) return operation(name, std::move(fn));
  return operation(name, [in_place = std::move(in_place)](const at::Tensor& x) {
    at::Tensor target = x;
    return in_place(target);
  });
}

using In = const at::Tensor&;

// Without further arguments.
template <auto Fn, auto InPlace>
Layer plain(const char* name, const jobspec::Arguments& args) {
  return elementwise(
      name, args, [](In x) { return Fn(x); }, [](at::Tensor& x) { return InPlace(x); });
}

Layer relu(const jobspec::Arguments& args) { return plain<at::relu, at::relu_>("ReLU", args); }
Layer relu6(const jobspec::Arguments& args) { return plain<at::relu6, at::relu6_>("ReLU6", args); }
Layer selu(const jobspec::Arguments& args) { return plain<at::selu, at::selu_>("SELU", args); }
Layer silu(const jobspec::Arguments& args) { return plain<at::silu, at::silu_>("SiLU", args); }
Layer mish(const jobspec::Arguments& args) { return plain<at::mish, at::mish_>("Mish", args); }
Layer hardsigmoid(const jobspec::Arguments& args) {
  return plain<at::hardsigmoid, at::hardsigmoid_>("Hardsigmoid", args);
}
Layer hardswish(const jobspec::Arguments& args) {
  return plain<at::hardswish, at::hardswish_>("Hardswish", args);
}

Layer leaky_relu(const jobspec::Arguments& args) {
  const double slope = args.get_double("negative_slope");
  return elementwise(
      "LeakyReLU", args, [slope](In x) { return at::leaky_relu(x, slope); },
      [slope](at::Tensor& x) { return at::leaky_relu_(x, slope); });
}

Layer elu(const jobspec::Arguments& args) {
  const double alpha = args.get_double("alpha");
  return elementwise(
      "ELU", args, [alpha](In x) { return at::elu(x, alpha); },
      [alpha](at::Tensor& x) { return at::elu_(x, alpha); });
}

Layer celu(const jobspec::Arguments& args) {
  const double alpha = args.get_double("alpha");
  return elementwise(
      "CELU", args, [alpha](In x) { return at::celu(x, alpha); },
      [alpha](at::Tensor& x) { return at::celu_(x, alpha); });
}

Layer hardtanh(const jobspec::Arguments& args) {
  const double low = args.get_double("min_val");
  const double high = args.get_double("max_val");
  return elementwise(
      "Hardtanh", args, [low, high](In x) { return at::hardtanh(x, low, high); },
      [low, high](at::Tensor& x) { return at::hardtanh_(x, low, high); });
}

Layer threshold(const jobspec::Arguments& args) {
  const double limit = args.get_double("threshold");
  const double value = args.get_double("value");
  return elementwise(
      "Threshold", args, [limit, value](In x) { return at::threshold(x, limit, value); },
      [limit, value](at::Tensor& x) { return at::threshold_(x, limit, value); });
}

Layer rrelu(const jobspec::Arguments& args) {
  return operation("RReLU", [low = args.get_double("lower"), high = args.get_double("upper"),
                             in_place = args.get_bool("inplace")](In x, bool training) {
    if (!in_place) return at::rrelu(x, low, high, training);
    at::Tensor target = x;
    return at::rrelu_(target, low, high, training);
  });
}

Layer gelu(const jobspec::Arguments& args) {
  return operation("GELU",
                   [kind = args.get_string("approximate")](In x) { return at::gelu(x, kind); });
}

class PReLU final : public torch::nn::Module {
 public:
  PReLU(std::int64_t count, double value) : Module("PReLU") {
    weight = register_parameter("weight", at::full({count}, value));
  }
  at::Tensor weight;
};

Layer prelu(const jobspec::Arguments& args) {
  auto module = std::make_shared<PReLU>(args.get_int("num_parameters"), args.get_double("init"));
  const PReLU* const raw = module.get();
  return {std::move(module), [raw](In x) { return at::prelu(x, raw->weight); }};
}

Layer sigmoid(const jobspec::Arguments& /*args*/) {
  return operation("Sigmoid", [](In x) { return x.sigmoid(); });
}
Layer log_sigmoid(const jobspec::Arguments& /*args*/) {
  return operation("LogSigmoid", [](In x) { return at::log_sigmoid(x); });
}
Layer tanh(const jobspec::Arguments& /*args*/) {
  return operation("Tanh", [](In x) { return x.tanh(); });
}
Layer tanhshrink(const jobspec::Arguments& /*args*/) {
  return operation("Tanhshrink", [](In x) { return x.sub(x.tanh()); });
}
Layer softsign(const jobspec::Arguments& /*args*/) {
  return operation("Softsign", [](In x) { return x.div(x.abs().add(1)); });
}
Layer softplus(const jobspec::Arguments& args) {
  return operation("Softplus",
                   [beta = args.get_double("beta"), limit = args.get_double("threshold")](In x) {
                     return at::softplus(x, beta, limit);
                   });
}
Layer softshrink(const jobspec::Arguments& args) {
  return operation("Softshrink",
                   [lambd = args.get_double("lambd")](In x) { return at::softshrink(x, lambd); });
}
Layer hardshrink(const jobspec::Arguments& args) {
  return operation("Hardshrink",
                   [lambd = args.get_double("lambd")](In x) { return at::hardshrink(x, lambd); });
}

// torch's choice when no dimension is given.
std::int64_t softmax_dim(std::optional<std::int64_t> dim, In x) {
  if (dim.has_value()) return *dim;
  return x.dim() == 0 || x.dim() == 1 || x.dim() == 3 ? 0 : 1;
}

Layer softmax(const jobspec::Arguments& args) {
  return operation("Softmax", [dim = args.get_optional_int("dim")](In x) {
    return x.softmax(softmax_dim(dim, x));
  });
}
Layer softmin(const jobspec::Arguments& args) {
  return operation("Softmin", [dim = args.get_optional_int("dim")](In x) {
    return x.neg().softmax(softmax_dim(dim, x));
  });
}
Layer log_softmax(const jobspec::Arguments& args) {
  return operation("LogSoftmax", [dim = args.get_optional_int("dim")](In x) {
    return x.log_softmax(softmax_dim(dim, x));
  });
}
Layer glu(const jobspec::Arguments& args) {
  return operation("GLU", [dim = args.get_int("dim")](In x) { return at::glu(x, dim); });
}

constexpr Entry kLayers[] = {
    {"ReLU", relu},
    {"ReLU6", relu6},
    {"LeakyReLU", leaky_relu},
    {"RReLU", rrelu},
    {"ELU", elu},
    {"CELU", celu},
    {"SELU", selu},
    {"PReLU", prelu},
    {"GELU", gelu},
    {"SiLU", silu},
    {"Mish", mish},
    {"Sigmoid", sigmoid},
    {"LogSigmoid", log_sigmoid},
    {"Tanh", tanh},
    {"Hardtanh", hardtanh},
    {"Hardsigmoid", hardsigmoid},
    {"Hardswish", hardswish},
    {"Softplus", softplus},
    {"Softsign", softsign},
    {"Tanhshrink", tanhshrink},
    {"Softshrink", softshrink},
    {"Hardshrink", hardshrink},
    {"Threshold", threshold},
    {"Softmax", softmax},
    {"LogSoftmax", log_softmax},
    {"Softmin", softmin},
    {"GLU", glu},
};

}  // namespace

std::span<const Entry> activation_layers() { return kLayers; }

}  // namespace lctl::layers
