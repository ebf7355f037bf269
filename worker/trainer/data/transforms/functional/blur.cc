#include "worker/trainer/data/transforms/functional/blur.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/reflection_pad2d.h>
#include <ATen/ops/softmax.h>
#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "worker/trainer/data/bad_sample.h"

namespace lctl::transforms::functional {
namespace {

at::Tensor kernel_1d(std::int64_t size, double sigma, at::ScalarType type) {
  const double limit = static_cast<double>(size - 1) / (2.0 * std::sqrt(2.0));
  const at::Tensor x = at::linspace(-limit, limit, size, type);
  return at::softmax(x.div(sigma).pow(2).neg(), 0);
}

}  // namespace

at::Tensor gaussian_blur(const at::Tensor& image, Extent kernel, double sigma) {
  const Extent size = extent_of(image);
  if (kernel.height / 2 >= size.height || kernel.width / 2 >= size.width) {
    throw BadSample(fmt::format("an image of {} x {} pixels is too small for a kernel of {} x {}",
                                size.width, size.height, kernel.width, kernel.height));
  }
  const std::int64_t channels = image.size(-3);
  const at::ScalarType type = image.is_floating_point() ? image.scalar_type() : at::kFloat;
  const at::Tensor weight =
      (kernel_1d(kernel.height, sigma, type).unsqueeze(-1) * kernel_1d(kernel.width, sigma, type))
          .expand({channels, 1, kernel.height, kernel.width});
  const std::int64_t sides[] = {kernel.width / 2, kernel.width / 2, kernel.height / 2,
                                kernel.height / 2};
  at::Tensor batch = image.reshape({-1, channels, size.height, size.width}).to(type);
  const std::int64_t once[] = {1, 1};
  const std::int64_t none[] = {0, 0};
  batch = at::conv2d(at::reflection_pad2d(batch, sides), weight, /*bias=*/std::nullopt,
                     /*stride=*/once, /*padding=*/none, /*dilation=*/once, /*groups=*/channels);
  if (type != image.scalar_type()) batch = batch.round_().to(image.scalar_type());
  return batch.reshape(image.sizes());
}

}  // namespace lctl::transforms::functional
