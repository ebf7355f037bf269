#include <ATen/ops/adaptive_avg_pool1d.h>
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/adaptive_avg_pool3d.h>
#include <ATen/ops/adaptive_max_pool1d.h>
#include <ATen/ops/adaptive_max_pool2d.h>
#include <ATen/ops/avg_pool1d.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/avg_pool3d.h>
#include <ATen/ops/max_pool1d.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/max_pool3d.h>

#include "worker/trainer/models/layers/tables.h"

namespace lctl::layers {
namespace {

template <std::size_t D, auto Pool>
Layer max_pool(const jobspec::Arguments& args) {
  return operation(
      "MaxPool" + std::to_string(D) + "d",
      [kernel = sizes(args, "kernel_size", D), stride = optional_sizes(args, "stride", D),
       padding = sizes(args, "padding", D), dilation = sizes(args, "dilation", D),
       ceil = args.get_bool("ceil_mode")](const at::Tensor& x) {
        return Pool(x, kernel, stride, padding, dilation, ceil);
      });
}

Layer avg_pool1d(const jobspec::Arguments& args) {
  return operation(
      "AvgPool1d",
      [kernel = sizes(args, "kernel_size", 1), stride = optional_sizes(args, "stride", 1),
       padding = sizes(args, "padding", 1), ceil = args.get_bool("ceil_mode"),
       count = args.get_bool("count_include_pad")](const at::Tensor& x) {
        return at::avg_pool1d(x, kernel, stride, padding, ceil, count);
      });
}

template <std::size_t D, auto Pool>
Layer avg_pool(const jobspec::Arguments& args) {
  return operation("AvgPool" + std::to_string(D) + "d",
                   [kernel = sizes(args, "kernel_size", D),
                    stride = optional_sizes(args, "stride", D), padding = sizes(args, "padding", D),
                    ceil = args.get_bool("ceil_mode"), count = args.get_bool("count_include_pad"),
                    divisor = args.get_optional_int("divisor_override")](const at::Tensor& x) {
                     return Pool(x, kernel, stride, padding, ceil, count, divisor);
                   });
}

template <std::size_t D, auto Pool>
Layer adaptive_avg_pool(const jobspec::Arguments& args) {
  return operation(
      "AdaptiveAvgPool" + std::to_string(D) + "d",
      [size = sizes(args, "output_size", D)](const at::Tensor& x) { return Pool(x, size); });
}

template <std::size_t D, auto Pool>
Layer adaptive_max_pool(const jobspec::Arguments& args) {
  return operation("AdaptiveMaxPool" + std::to_string(D) + "d",
                   [size = sizes(args, "output_size", D)](const at::Tensor& x) {
                     return std::get<0>(Pool(x, size));
                   });
}

constexpr Entry kLayers[] = {
    {"MaxPool1d", max_pool<1, at::max_pool1d>},
    {"MaxPool2d", max_pool<2, at::max_pool2d>},
    {"MaxPool3d", max_pool<3, at::max_pool3d>},
    {"AvgPool1d", avg_pool1d},
    {"AvgPool2d", avg_pool<2, at::avg_pool2d>},
    {"AvgPool3d", avg_pool<3, at::avg_pool3d>},
    {"AdaptiveAvgPool1d", adaptive_avg_pool<1, at::adaptive_avg_pool1d>},
    {"AdaptiveAvgPool2d", adaptive_avg_pool<2, at::adaptive_avg_pool2d>},
    {"AdaptiveAvgPool3d", adaptive_avg_pool<3, at::adaptive_avg_pool3d>},
    {"AdaptiveMaxPool1d", adaptive_max_pool<1, at::adaptive_max_pool1d>},
    {"AdaptiveMaxPool2d", adaptive_max_pool<2, at::adaptive_max_pool2d>},
};

}  // namespace

std::span<const Entry> pooling_layers() { return kLayers; }

}  // namespace lctl::layers
