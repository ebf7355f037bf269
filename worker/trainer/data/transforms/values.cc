#include "worker/trainer/data/transforms/values.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/transforms/functional/blur.h"
#include "worker/trainer/data/transforms/functional/dtype.h"
#include "worker/trainer/data/transforms/functional/geometry.h"

namespace lctl::transforms {
namespace {

constexpr int kTries = 10;

// Box and Muller.
double normal(RandomStream& random) {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - random.uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * random.uniform());
}

}  // namespace

at::Tensor ToDtype::apply(const at::Tensor& image, RandomStream& /*random*/) const {
  return functional::to_dtype(image, dtype_, scale_);
}

at::Tensor ToTensor::apply(const at::Tensor& image, RandomStream& /*random*/) const {
  return image.scalar_type() == at::kByte ? image.to(at::kFloat).div_(255) : image;
}

at::Tensor Identity::apply(const at::Tensor& image, RandomStream& /*random*/) const {
  return image;
}

Normalize::Normalize(std::vector<double> mean, std::vector<double> std)
    : mean_(std::move(mean)), std_(std::move(std)) {
  if (mean_.empty() || std_.empty())
    throw std::invalid_argument("mean and std must hold a number for each channel");
  if (mean_.size() != std_.size() && mean_.size() != 1 && std_.size() != 1) {
    throw std::invalid_argument(
        fmt::format("mean has {} numbers, std has {}", mean_.size(), std_.size()));
  }
  if (std::find(std_.begin(), std_.end(), 0.0) != std_.end())
    throw std::invalid_argument("std evaluated to zero, leading to division by zero");
}

at::Tensor Normalize::apply(const at::Tensor& image, RandomStream& /*random*/) const {
  return functional::normalize(image, mean_, std_);
}

GaussianBlur::GaussianBlur(Extent kernel, std::pair<double, double> sigma)
    : kernel_(kernel), sigma_(sigma) {
  for (const std::int64_t size : {kernel.height, kernel.width}) {
    if (size < 1 || size % 2 == 0)
      throw std::invalid_argument(
          fmt::format("kernel_size must be odd and positive, not {}", size));
  }
  if (!(0.0 < sigma_.first && sigma_.first <= sigma_.second)) {
    throw std::invalid_argument(
        fmt::format("sigma must be positive and of the form (min, max), "
                    "not {}, {}",
                    sigma_.first, sigma_.second));
  }
}

at::Tensor GaussianBlur::apply(const at::Tensor& image, RandomStream& random) const {
  return functional::gaussian_blur(image, kernel_, random.uniform(sigma_.first, sigma_.second));
}

RandomErasing::RandomErasing(Options options) : options_(std::move(options)) {
  if (options_.min_scale > options_.max_scale || options_.min_ratio > options_.max_ratio ||
      options_.min_ratio <= 0)
    throw std::invalid_argument("scale and ratio must be pairs of (min, max)");
  if (options_.min_scale < 0 || options_.max_scale > 1)
    throw std::invalid_argument("scale must lie between 0 and 1");
}

at::Tensor RandomErasing::values(std::int64_t channels, Extent size, RandomStream& random) const {
  if (!options_.value.empty()) return at::tensor(options_.value, at::kFloat).view({-1, 1, 1});
  at::Tensor noise = at::empty({channels, size.height, size.width}, at::kFloat);
  float* const out = noise.data_ptr<float>();
  std::generate_n(out, noise.numel(), [&] { return static_cast<float>(normal(random)); });
  return noise;
}

at::Tensor RandomErasing::apply(const at::Tensor& image, RandomStream& random) const {
  const std::int64_t channels = image.size(-3);
  if (options_.value.size() > 1 && static_cast<std::int64_t>(options_.value.size()) != channels) {
    throw MisconfigurationException(fmt::format(
        "RandomErasing has {} values, the image {} channels", options_.value.size(), channels));
  }
  if (!random.chance(options_.p)) return image;
  const Extent size = extent_of(image);
  const double area = static_cast<double>(size.height) * static_cast<double>(size.width);
  for (int i = 0; i < kTries; ++i) {
    const double erased = area * random.uniform(options_.min_scale, options_.max_scale);
    const double ratio =
        std::exp(random.uniform(std::log(options_.min_ratio), std::log(options_.max_ratio)));
    const auto h = static_cast<std::int64_t>(std::nearbyint(std::sqrt(erased * ratio)));
    const auto w = static_cast<std::int64_t>(std::nearbyint(std::sqrt(erased / ratio)));
    if (h >= size.height || w >= size.width) continue;
    const at::Tensor value = values(channels, {h, w}, random);
    const std::int64_t top = random.below(size.height - h + 1);
    const std::int64_t left = random.below(size.width - w + 1);
    at::Tensor out = image.clone();
    functional::crop(out, {top, left, h, w}).copy_(value);
    return out;
  }
  return image;
}

}  // namespace lctl::transforms
