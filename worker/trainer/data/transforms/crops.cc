#include "worker/trainer/data/transforms/crops.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "worker/trainer/data/bad_sample.h"

namespace lctl::transforms {
namespace {

constexpr int kTries = 10;

// Python's round(): halves to the even neighbour.
std::int64_t rounded(double value) { return static_cast<std::int64_t>(std::nearbyint(value)); }

// Padding that makes the image as large as the crop, on both sides.
void pad_up_to(Extent crop, Extent& image, Padding& padding) {
  if (image.height < crop.height) {
    const std::int64_t missing = crop.height - image.height;
    padding.top += missing;
    padding.bottom += missing;
    image.height += 2 * missing;
  }
  if (image.width < crop.width) {
    const std::int64_t missing = crop.width - image.width;
    padding.left += missing;
    padding.right += missing;
    image.width += 2 * missing;
  }
}

}  // namespace

Resize::Resize(Options options) : options_(std::move(options)) {
  const auto& [size, interpolation, max_size, antialias] = options_;
  if (size.size() > 2)
    throw std::invalid_argument(
        fmt::format("size must be one number or two (height, width), not {}", size.size()));
  if (size.empty() && !max_size) throw std::invalid_argument("size or max_size must be given");
  if (size.size() == 2 && max_size)
    throw std::invalid_argument("max_size goes with a size of one number only");
  if (size.size() == 1 && max_size && *max_size <= size[0]) {
    throw std::invalid_argument(
        fmt::format("max_size {} must be greater than size {}", *max_size, size[0]));
  }
}

at::Tensor Resize::apply(const at::Tensor& image, RandomStream& /*random*/) const {
  const Extent to = resized_extent(extent_of(image), options_.size, options_.max_size);
  return functional::resize(image, to, options_.interpolation, options_.antialias);
}

at::Tensor CenterCrop::apply(const at::Tensor& image, RandomStream& /*random*/) const {
  return functional::center_crop(image, size_);
}

at::Tensor RandomCrop::apply(const at::Tensor& image, RandomStream& random) const {
  Padding padding = options_.padding.value_or(Padding{});
  Extent size = extent_of(image);
  size.height += padding.top + padding.bottom;
  size.width += padding.left + padding.right;
  if (options_.pad_if_needed) pad_up_to(options_.size, size, padding);
  const Extent crop = options_.size;
  if (size.height < crop.height || size.width < crop.width) {
    throw BadSample(fmt::format(
        "Required crop size ({}, {}) is larger than {}input image size ({}, {})", crop.height,
        crop.width, options_.padding ? "padded " : "", size.height, size.width));
  }
  const std::int64_t top = random.below(size.height - crop.height + 1);
  const std::int64_t left = random.below(size.width - crop.width + 1);
  const at::Tensor padded =
      padding.any() ? functional::pad(image, padding, options_.fill, options_.padding_mode) : image;
  return functional::crop(padded, {top, left, crop.height, crop.width});
}

RandomResizedCrop::RandomResizedCrop(const Options& options) : options_(options) {
  if (options_.min_scale > options_.max_scale || options_.min_ratio > options_.max_ratio)
    throw std::invalid_argument("scale and ratio must be pairs of (min, max)");
}

Box RandomResizedCrop::draw(Extent image, RandomStream& random) const {
  const auto height = static_cast<double>(image.height);
  const auto width = static_cast<double>(image.width);
  for (int i = 0; i < kTries; ++i) {
    const double area = height * width * random.uniform(options_.min_scale, options_.max_scale);
    const double ratio =
        std::exp(random.uniform(std::log(options_.min_ratio), std::log(options_.max_ratio)));
    const std::int64_t w = rounded(std::sqrt(area * ratio));
    const std::int64_t h = rounded(std::sqrt(area / ratio));
    if (w <= 0 || w > image.width || h <= 0 || h > image.height) continue;
    const std::int64_t top = random.below(image.height - h + 1);
    const std::int64_t left = random.below(image.width - w + 1);
    return {top, left, h, w};
  }
  // The largest part of the middle that the ratio allows.
  Box box{0, 0, image.height, image.width};
  if (width / height < options_.min_ratio) {
    box.height = rounded(width / options_.min_ratio);
  } else if (width / height > options_.max_ratio) {
    box.width = rounded(height * options_.max_ratio);
  }
  box.top = (image.height - box.height) / 2;
  box.left = (image.width - box.width) / 2;
  return box;
}

at::Tensor RandomResizedCrop::apply(const at::Tensor& image, RandomStream& random) const {
  const Box box = draw(extent_of(image), random);
  if (box.height < 1 || box.width < 1) {
    throw BadSample(fmt::format("an image of {} x {} pixels is too long to take a part of",
                                image.size(-1), image.size(-2)));
  }
  return functional::resize(functional::crop(image, box), options_.size, options_.interpolation,
                            options_.antialias);
}

at::Tensor Pad::apply(const at::Tensor& image, RandomStream& /*random*/) const {
  return functional::pad(image, options_.padding, options_.fill, options_.padding_mode);
}

}  // namespace lctl::transforms
