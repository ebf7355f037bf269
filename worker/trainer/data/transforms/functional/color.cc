#include "worker/trainer/data/transforms/functional/color.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/aminmax.h>
#include <ATen/ops/floor.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/rsub.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <fmt/format.h>

#include <vector>

#include "worker/trainer/core/errors.h"
#include "worker/trainer/data/transforms/functional/dtype.h"
#include "worker/trainer/data/transforms/functional/hue.h"

namespace lctl::transforms::functional {
namespace {

void check_channels(const at::Tensor& image) {
  const std::int64_t channels = image.size(-3);
  if (channels == 1 || channels == 3) return;
  throw MisconfigurationException(
      fmt::format("colours can be changed of images of 1 or 3 channels, not of {}", channels));
}

// One channel, in floating point. Operations and their order are torchvision's, for its bits.
at::Tensor luma(const at::Tensor& image) {
  at::Tensor gray = image.select(-3, 0).mul(0.2989);
  gray.add_(image.select(-3, 1), 0.587).add_(image.select(-3, 2), 0.114);
  return gray.unsqueeze(-3);
}

// The same as torchvision rounds it for the adjustments.
at::Tensor floored_luma(const at::Tensor& image) {
  at::Tensor gray = luma(image);
  return image.is_floating_point() ? gray : gray.floor_();
}

at::Tensor blend(const at::Tensor& image, const at::Tensor& other, double ratio) {
  at::Tensor mixed = image.mul(ratio).add_(other, 1.0 - ratio);
  return mixed.clamp_(0, max_value(image.scalar_type())).to(image.scalar_type());
}

at::Tensor rgb_to_hsv(const at::Tensor& image) {
  const at::Tensor r = image.select(-3, 0);
  const at::Tensor g = image.select(-3, 1);
  const auto [low, high] = at::aminmax(image, -3);
  const at::Tensor same = high.eq(low);
  const at::Tensor range = high - low;
  const at::Tensor ones = at::ones_like(high);
  const at::Tensor saturation = range / at::where(same, ones, high);
  const at::Tensor divisor = at::where(same, ones, range).unsqueeze(-3);
  const at::Tensor parts = (high.unsqueeze(-3) - image) / divisor;
  const at::Tensor rc = parts.select(-3, 0);
  const at::Tensor gc = parts.select(-3, 1);
  const at::Tensor bc = parts.select(-3, 2);
  const at::Tensor not_r = high.ne(r);
  const at::Tensor is_g = high.eq(g);
  const at::Tensor of_g = rc.add(2.0).sub_(bc).mul_(is_g.logical_and(not_r));
  const at::Tensor of_r = bc.sub(gc).mul_(not_r.logical_not());
  const at::Tensor of_b = gc.add(4.0).sub_(rc).mul_(not_r.logical_and(is_g.logical_not()));
  const at::Tensor hue = (of_r + of_g).add_(of_b).mul_(1.0 / 6.0).add_(1.0).fmod_(1.0);
  return at::stack({hue, saturation, high}, -3);
}

at::Tensor hsv_to_rgb(const at::Tensor& image) {
  const at::Tensor s = image.select(-3, 1);
  const at::Tensor v = image.select(-3, 2);
  const at::Tensor sixths = image.select(-3, 0).mul(6);
  const at::Tensor sector = at::floor(sixths);
  const at::Tensor sxf = s * (sixths - sector);
  const at::Tensor rest = at::rsub(s, 1.0);
  const at::Tensor q = at::rsub(sxf, 1.0).mul_(v).clamp_(0.0, 1.0);
  const at::Tensor t = sxf.add(rest).mul_(v).clamp_(0.0, 1.0);
  const at::Tensor p = rest.mul(v).clamp_(0.0, 1.0);
  const at::Tensor index = sector.to(at::kLong).remainder_(6);
  const at::Tensor vpqt = at::stack({v, p, q, t}, -3);
  // Which of v, p, q, t is red, green and blue in each sector.
  const at::Tensor table =
      at::tensor({0, 2, 1, 1, 3, 0, 3, 0, 0, 2, 1, 1, 1, 1, 3, 0, 0, 2}, at::kLong).view({3, 6});
  std::vector<std::int64_t> shape = {3};
  shape.insert(shape.end(), index.sizes().begin(), index.sizes().end());
  const at::Tensor choice = table.index_select(1, index.flatten()).view(shape);
  return at::gather(vpqt, -3, choice.movedim(0, -3));
}

}  // namespace

at::Tensor rgb_to_grayscale(const at::Tensor& image, std::int64_t channels) {
  check_channels(image);
  if (image.size(-3) == 1) {
    if (channels == 1) return image;
    std::vector<std::int64_t> repeats(static_cast<std::size_t>(image.dim()), 1);
    repeats[repeats.size() - 3] = 3;
    return image.repeat(repeats);
  }
  const at::Tensor gray = luma(image).to(image.scalar_type());
  return channels == 3 ? gray.expand(image.sizes()) : gray;
}

at::Tensor adjust_brightness(const at::Tensor& image, double factor) {
  check_channels(image);
  return image.mul(factor).clamp_(0, max_value(image.scalar_type())).to(image.scalar_type());
}

at::Tensor adjust_contrast(const at::Tensor& image, double factor) {
  check_channels(image);
  at::Tensor gray = image.size(-3) == 3 ? floored_luma(image) : image;
  if (!gray.is_floating_point()) gray = gray.to(at::kFloat);
  return blend(image, at::mean(gray, {-3, -2, -1}, /*keepdim=*/true), factor);
}

at::Tensor adjust_saturation(const at::Tensor& image, double factor) {
  check_channels(image);
  return image.size(-3) == 1 ? image : blend(image, floored_luma(image), factor);
}

at::Tensor adjust_hue(const at::Tensor& image, double factor) {
  check_channels(image);
  if (image.size(-3) == 1 || image.numel() == 0) return image;
  if (image.dim() == 3 && image.scalar_type() == at::kByte)
    return adjust_hue_of_bytes(image, factor);
  at::Tensor hsv = rgb_to_hsv(to_dtype(image, at::kFloat, /*scale=*/true));
  hsv.select(-3, 0).add_(factor).remainder_(1.0);
  return to_dtype(hsv_to_rgb(hsv), image.scalar_type(), /*scale=*/true);
}

}  // namespace lctl::transforms::functional
