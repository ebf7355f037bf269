#include "worker/trainer/data/transforms/functional/geometry.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/reflection_pad2d.h>
#include <ATen/ops/replication_pad2d.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/bad_sample.h"

namespace lctl::transforms {

Padding padding_of(const std::vector<std::int64_t>& numbers) {
  if (numbers.size() == 1) return {numbers[0], numbers[0], numbers[0], numbers[0]};
  if (numbers.size() == 2) return {numbers[0], numbers[1], numbers[0], numbers[1]};
  if (numbers.size() == 4) return {numbers[0], numbers[1], numbers[2], numbers[3]};
  throw std::invalid_argument(
      fmt::format("padding must be one number, two or four, not {}", numbers.size()));
}

PaddingMode padding_mode_of(std::string_view name) {
  if (name == "constant") return PaddingMode::kConstant;
  if (name == "edge") return PaddingMode::kEdge;
  if (name == "reflect") return PaddingMode::kReflect;
  if (name == "symmetric") return PaddingMode::kSymmetric;
  throw std::invalid_argument(
      fmt::format("padding_mode '{}' is not one of: constant, edge, reflect, symmetric", name));
}

namespace functional {
namespace {

at::Tensor rows_and_columns(const at::Tensor& image, const at::Tensor& rows,
                            const at::Tensor& columns) {
  return image.index_select(-2, rows).index_select(-1, columns);
}

// 0 1 2 with two more on both sides: 1 0 0 1 2 2 1.
at::Tensor mirrored(std::int64_t before, std::int64_t length, std::int64_t behind) {
  std::vector<std::int64_t> indices;
  for (std::int64_t i = before - 1; i >= 0; --i) indices.push_back(i);
  for (std::int64_t i = 0; i < length; ++i) indices.push_back(i);
  for (std::int64_t i = 0; i < behind; ++i) indices.push_back(length - 1 - i);
  return at::tensor(indices, at::kLong);
}

void check_reflection(Extent image, const Padding& padding, std::int64_t limit_offset) {
  const bool fits = std::max(padding.left, padding.right) <= image.width - limit_offset &&
                    std::max(padding.top, padding.bottom) <= image.height - limit_offset;
  if (fits) return;
  throw BadSample(fmt::format(
      "an image of {} x {} pixels is too small to be reflected by a padding of {}, {}, {}, {}",
      image.width, image.height, padding.left, padding.top, padding.right, padding.bottom));
}

// Channel by channel; ATen pads with one number only.
void fill_border(at::Tensor& image, const Padding& padding, const std::vector<double>& fill) {
  const at::Tensor color = at::tensor(fill, at::kFloat).to(image.scalar_type()).view({-1, 1, 1});
  const Extent size = extent_of(image);
  if (padding.top > 0) image.narrow(-2, 0, padding.top).copy_(color);
  if (padding.left > 0) image.narrow(-1, 0, padding.left).copy_(color);
  if (padding.bottom > 0)
    image.narrow(-2, size.height - padding.bottom, padding.bottom).copy_(color);
  if (padding.right > 0) image.narrow(-1, size.width - padding.right, padding.right).copy_(color);
}

at::Tensor pad_batch(const at::Tensor& batch, const Padding& padding, double fill,
                     PaddingMode mode) {
  const std::int64_t sides[] = {padding.left, padding.right, padding.top, padding.bottom};
  const Extent size = extent_of(batch);
  switch (mode) {
    case PaddingMode::kConstant:
      return at::constant_pad_nd(batch, sides, fill);
    case PaddingMode::kSymmetric:
      check_reflection(size, padding, 0);
      return rows_and_columns(batch, mirrored(padding.top, size.height, padding.bottom),
                              mirrored(padding.left, size.width, padding.right));
    case PaddingMode::kReflect:
    case PaddingMode::kEdge:
      break;
  }
  const bool cast = !batch.is_floating_point();  // ATen has these for floating point only
  const at::Tensor values = cast ? batch.to(at::kFloat) : batch;
  if (mode == PaddingMode::kReflect) check_reflection(size, padding, 1);
  const at::Tensor padded = mode == PaddingMode::kReflect ? at::reflection_pad2d(values, sides)
                                                          : at::replication_pad2d(values, sides);
  return cast ? padded.to(batch.scalar_type()) : padded;
}

}  // namespace

at::Tensor horizontal_flip(const at::Tensor& image) { return at::flip(image, {-1}); }

at::Tensor vertical_flip(const at::Tensor& image) { return at::flip(image, {-2}); }

at::Tensor crop(const at::Tensor& image, const Box& box) {
  return image.narrow(-2, box.top, box.height).narrow(-1, box.left, box.width);
}

at::Tensor center_crop(const at::Tensor& image, Extent to) {
  at::Tensor source = image;
  Extent size = extent_of(image);
  if (to.height > size.height || to.width > size.width) {
    const std::int64_t rows = std::max<std::int64_t>(to.height - size.height, 0);
    const std::int64_t columns = std::max<std::int64_t>(to.width - size.width, 0);
    const std::int64_t sides[] = {columns / 2, (columns + 1) / 2, rows / 2, (rows + 1) / 2};
    source = at::constant_pad_nd(image, sides, 0);
    size = extent_of(source);
  }
  // Python's round(): halves to the even neighbour.
  const auto start = [](std::int64_t whole, std::int64_t part) {
    return static_cast<std::int64_t>(std::nearbyint(static_cast<double>(whole - part) / 2.0));
  };
  return crop(source,
              {start(size.height, to.height), start(size.width, to.width), to.height, to.width});
}

at::Tensor pad(const at::Tensor& image, const Padding& padding, const std::vector<double>& fill,
               PaddingMode mode) {
  const std::int64_t channels = image.size(-3);
  const bool one_color = fill.size() == 1;
  if (!one_color && static_cast<std::int64_t>(fill.size()) != channels) {
    throw MisconfigurationException(
        fmt::format("fill has {} numbers, the image {} channels", fill.size(), channels));
  }
  if (!one_color && mode != PaddingMode::kConstant)
    throw MisconfigurationException("fill for each channel goes with padding_mode constant only");
  const Extent size = extent_of(image);
  at::Tensor padded = pad_batch(image.reshape({-1, channels, size.height, size.width}), padding,
                                one_color ? fill[0] : 0.0, mode);
  if (!one_color) fill_border(padded, padding, fill);
  std::vector<std::int64_t> shape = image.sizes().vec();
  shape[shape.size() - 2] = padded.size(-2);
  shape[shape.size() - 1] = padded.size(-1);
  return padded.reshape(shape);
}

}  // namespace functional
}  // namespace lctl::transforms
