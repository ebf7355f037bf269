#include "worker/trainer/data/transforms/functional/affine.h"

#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/grid_sampler.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rot90.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "worker/trainer/core/errors.h"

namespace lctl::transforms::functional {
namespace {

using Matrix = std::array<double, 6>;  // two rows of three

double radians(double degrees) { return degrees * (std::numbers::pi / 180.0); }

// From places in the result to places in the image. The order of operations is torchvision's.
Matrix inverse_matrix(Point center, const AffineMap& map) {
  const double rotation = radians(map.angle);
  const double shear_y = radians(map.shear.y);
  const double tan_shear_x = std::tan(radians(map.shear.x));
  const double cos_shear_y = std::cos(shear_y);
  const double difference = rotation - shear_y;
  const double a = std::cos(difference) / cos_shear_y;
  const double b = -(a * tan_shear_x + std::sin(rotation));
  const double c = std::sin(difference) / cos_shear_y;
  const double d = std::cos(rotation) - c * tan_shear_x;
  const double x = center.x + map.translate.x;
  const double y = center.y + map.translate.y;
  Matrix m = {d / map.scale, -b / map.scale, 0.0, -c / map.scale, a / map.scale, 0.0};
  m[2] += center.x - m[0] * x - m[1] * y;
  m[5] += center.y - m[3] * x - m[4] * y;
  return m;
}

Point from_middle(const Sampling& sampling, Extent size) {
  if (!sampling.center) return {};
  return {sampling.center->x - static_cast<double>(size.width) * 0.5,
          sampling.center->y - static_cast<double>(size.height) * 0.5};
}

at::Tensor matrix_tensor(const Matrix& matrix, at::ScalarType type) {
  return at::tensor(at::ArrayRef<double>(matrix.data(), matrix.size()), type).view({2, 3});
}

// The extent that holds all four corners, with torchvision's roundings (single precision).
Extent expanded(const Matrix& matrix, Extent size) {
  const float w = 0.5F * static_cast<float>(size.width);
  const float h = 0.5F * static_cast<float>(size.height);
  const at::Tensor corners =
      at::tensor({-w, -h, 1.0F, -w, h, 1.0F, w, h, 1.0F, w, -h, 1.0F}, at::kFloat).view({4, 3});
  const at::Tensor places = at::matmul(corners, matrix_tensor(matrix, at::kFloat).t());
  auto [low, high] = places.aminmax(/*dim=*/0);
  const at::Tensor half = at::tensor({w, h}, at::kFloat);
  low = low.add(half).mul_(1.0 / 1e-4).trunc_().mul_(1e-4).floor_();
  high = high.add(half).mul_(1.0 / 1e-4).trunc_().mul_(1e-4).ceil_();
  const at::Tensor length = high.sub_(low);
  return {length[1].item<std::int64_t>(), length[0].item<std::int64_t>()};
}

at::Tensor sampling_grid(const Matrix& matrix, Extent from, Extent to, at::ScalarType type) {
  const auto range = [](std::int64_t n) {
    const double last = (static_cast<double>(n) - 1.0) * 0.5;
    return at::linspace(-last, last, n, at::kFloat);
  };
  at::Tensor base = at::empty({1, to.height, to.width, 3}, type);
  base.select(-1, 0).copy_(range(to.width));
  base.select(-1, 1).copy_(range(to.height).unsqueeze(-1));
  base.select(-1, 2).fill_(1);
  const std::vector<double> half = {0.5 * static_cast<double>(from.width),
                                    0.5 * static_cast<double>(from.height)};
  const at::Tensor theta =
      matrix_tensor(matrix, type).unsqueeze(0).transpose(1, 2).div(at::tensor(half, type));
  return at::bmm(base.view({1, to.height * to.width, 3}), theta).view({1, to.height, to.width, 2});
}

at::Tensor sample(const at::Tensor& image, at::Tensor grid, const Sampling& sampling) {
  const Extent to = {grid.size(1), grid.size(2)};
  const std::int64_t channels = image.size(-3);
  if (sampling.fill.size() != 1 && static_cast<std::int64_t>(sampling.fill.size()) != channels) {
    throw MisconfigurationException(
        fmt::format("fill has {} numbers, the image {} channels", sampling.fill.size(), channels));
  }
  const bool nearest = sampling.interpolation == Interpolation::kNearest;
  at::Tensor batch = image.reshape({-1, channels, image.size(-2), image.size(-1)});
  if (batch.size(0) > 1) grid = grid.expand({batch.size(0), -1, -1, -1});
  batch = batch.to(grid.scalar_type());
  // A further channel of ones: it says how much of each new pixel comes from the image.
  batch = at::cat(
      {batch, at::ones({batch.size(0), 1, batch.size(2), batch.size(3)}, batch.options())}, 1);
  batch = at::grid_sampler(batch, grid, /*interpolation_mode=*/nearest ? 1 : 0,
                           /*padding_mode=*/0, /*align_corners=*/false);
  const at::Tensor mask = batch.narrow(1, channels, 1);
  at::Tensor values = batch.narrow(1, 0, channels);
  const at::Tensor fill = at::tensor(sampling.fill, values.scalar_type()).view({1, -1, 1, 1});
  values = nearest ? at::where(mask.lt(0.5), fill, values) : values.sub(fill).mul_(mask).add_(fill);
  if (image.scalar_type() != values.scalar_type()) values = values.round().to(image.scalar_type());
  std::vector<std::int64_t> shape = image.sizes().vec();
  shape[shape.size() - 2] = to.height;
  shape[shape.size() - 1] = to.width;
  return values.reshape(shape);
}

at::ScalarType grid_type(const at::Tensor& image) {
  return image.is_floating_point() ? image.scalar_type() : at::kFloat;
}

}  // namespace

at::Tensor rotate(const at::Tensor& image, double angle, bool expand, const Sampling& sampling) {
  angle = std::fmod(angle, 360.0);
  if (angle < 0) angle += 360.0;
  const Extent size = extent_of(image);
  if (!sampling.center) {
    if (angle == 0) return image;
    if (angle == 180) return at::rot90(image, 2, {-2, -1});
    if (expand || size.height == size.width) {
      if (angle == 90) return at::rot90(image, 1, {-2, -1});
      if (angle == 270) return at::rot90(image, 3, {-2, -1});
    }
  }
  // Of torchvision's affine() a positive angle turns clockwise.
  const Matrix matrix = inverse_matrix(from_middle(sampling, size), {.angle = -angle});
  const Extent to = expand ? expanded(matrix, size) : size;
  return sample(image, sampling_grid(matrix, size, to, grid_type(image)), sampling);
}

at::Tensor affine(const at::Tensor& image, const AffineMap& map, const Sampling& sampling) {
  const Extent size = extent_of(image);
  const Matrix matrix = inverse_matrix(from_middle(sampling, size), map);
  return sample(image, sampling_grid(matrix, size, size, grid_type(image)), sampling);
}

}  // namespace lctl::transforms::functional
