#include "worker/trainer/data/transforms/functional/resize.h"

#include <ATen/Version.h>
#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/_upsample_nearest_exact2d.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "worker/trainer/data/bad_sample.h"

namespace lctl::transforms {
namespace {

// torchvision takes ATen's kernel for bytes only where it is vectorised.
bool has_byte_kernel(Interpolation interpolation) {
  static const bool vectorised = [] {
    const std::string capability = at::get_cpu_capability();
    return capability == "AVX2" || capability == "AVX512";
  }();
  return interpolation == Interpolation::kBicubic ||
         (interpolation == Interpolation::kBilinear && vectorised);
}

bool is_nearest(Interpolation interpolation) {
  return interpolation == Interpolation::kNearest || interpolation == Interpolation::kNearestExact;
}

at::Tensor interpolate(const at::Tensor& image, Extent to, Interpolation interpolation,
                       bool antialias) {
  const std::int64_t size[] = {to.height, to.width};
  switch (interpolation) {
    case Interpolation::kNearest:
      return at::upsample_nearest2d(image, size);
    case Interpolation::kNearestExact:
      return at::_upsample_nearest_exact2d(image, size);
    case Interpolation::kBilinear:
      return antialias ? at::_upsample_bilinear2d_aa(image, size, /*align_corners=*/false)
                       : at::upsample_bilinear2d(image, size, /*align_corners=*/false);
    case Interpolation::kBicubic:
      return antialias ? at::_upsample_bicubic2d_aa(image, size, /*align_corners=*/false)
                       : at::upsample_bicubic2d(image, size, /*align_corners=*/false);
  }
  throw std::invalid_argument("unknown interpolation");
}

// ATen takes a batch of one for contiguous even where its channels lie together. torchvision's way
// around it: a stride of the batch that leaves no doubt.
at::Tensor with_clear_strides(const at::Tensor& batch) {
  if (batch.size(0) != 1 || !batch.is_contiguous(at::MemoryFormat::ChannelsLast) ||
      batch.stride(0) == batch.numel()) {
    return batch;
  }
  return batch.as_strided(batch.sizes(),
                          {batch.numel(), batch.stride(1), batch.stride(2), batch.stride(3)});
}

std::int64_t scaled(std::int64_t length, std::int64_t to, std::int64_t from) {
  // Python: int(length * to / from), the division in floating point.
  return static_cast<std::int64_t>(static_cast<double>(length * to) / static_cast<double>(from));
}

}  // namespace

Interpolation interpolation_of(std::string_view name) {
  if (name == "nearest") return Interpolation::kNearest;
  if (name == "nearest-exact") return Interpolation::kNearestExact;
  if (name == "bilinear") return Interpolation::kBilinear;
  if (name == "bicubic") return Interpolation::kBicubic;
  throw std::invalid_argument(fmt::format(
      "interpolation '{}' is not one of: nearest, nearest-exact, bilinear, bicubic", name));
}

Extent extent_of(const at::Tensor& image) { return {image.size(-2), image.size(-1)}; }

Extent resized_extent(Extent image, const std::vector<std::int64_t>& size,
                      std::optional<std::int64_t> max_size) {
  if (size.size() == 2) return {size[0], size[1]};
  const auto [shorter, longer] = std::minmax(image.height, image.width);
  std::int64_t new_shorter = 0;
  std::int64_t new_longer = 0;
  if (size.empty()) {
    new_longer = max_size.value();
    new_shorter = scaled(new_longer, shorter, longer);
  } else {
    new_shorter = size[0];
    new_longer = scaled(new_shorter, longer, shorter);
    if (max_size.has_value() && new_longer > *max_size) {
      new_shorter = scaled(*max_size, new_shorter, new_longer);
      new_longer = *max_size;
    }
  }
  return image.width <= image.height ? Extent{new_longer, new_shorter}
                                     : Extent{new_shorter, new_longer};
}

namespace functional {

at::Tensor resize(const at::Tensor& image, Extent to, Interpolation interpolation, bool antialias) {
  const Extent from = extent_of(image);
  if (to == from) return image;
  if (to.height < 1 || to.width < 1 || image.numel() == 0) {
    throw BadSample(fmt::format("an image of {} x {} pixels cannot be resized to {} x {}",
                                from.width, from.height, to.width, to.height));
  }
  const std::int64_t channels = image.size(-3);
  const at::ScalarType type = image.scalar_type();
  const bool as_it_is =
      type == at::kFloat || type == at::kDouble ||
      (type == at::kByte && (is_nearest(interpolation) || has_byte_kernel(interpolation)));
  at::Tensor batch = with_clear_strides(image.reshape({-1, channels, from.height, from.width}));
  if (!as_it_is) batch = batch.to(at::kFloat);
  batch = interpolate(batch, to, interpolation, antialias);
  if (!as_it_is) {
    if (interpolation == Interpolation::kBicubic && type == at::kByte) batch.clamp_(0, 255);
    if (at::isIntegralType(type, /*includeBool=*/false)) batch.round_();
    batch = batch.to(type);
  }
  std::vector<std::int64_t> shape = image.sizes().vec();
  shape[shape.size() - 2] = to.height;
  shape[shape.size() - 1] = to.width;
  return batch.reshape(shape);
}

}  // namespace functional
}  // namespace lctl::transforms
