#include "worker/trainer/data/transforms/functional/hue.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstdint>

namespace lctl::transforms::functional {
namespace {

struct Pixel {
  float r, g, b;
};

// Of a value above -1, all exact: what is left of it by the whole numbers.
float remainder_of_one(float value) {
  const float rest = value - static_cast<float>(static_cast<int>(value));
  return rest < 0 ? rest + 1.0F : rest;
}

// In [0, 1).
float hue_of(const Pixel& pixel, float high, float divisor) {
  const float r = (high - pixel.r) / divisor;
  const float g = (high - pixel.g) / divisor;
  const float b = (high - pixel.b) / divisor;
  const float sixths = high == pixel.r ? b - g : high == pixel.g ? r + 2.0F - b : g + 4.0F - r;
  return remainder_of_one(sixths * static_cast<float>(1.0 / 6.0) + 1.0F);
}

float in_range(float value) { return std::min(std::max(value, 0.0F), 1.0F); }

Pixel from_hsv(float hue, float saturation, float value) {
  const float sixths = hue * 6.0F;
  const int sector = static_cast<int>(sixths);
  const float sxf = saturation * (sixths - static_cast<float>(sector));
  const float rest = 1.0F - saturation;
  const float p = in_range(rest * value);
  const float q = in_range((1.0F - sxf) * value);
  const float t = in_range((sxf + rest) * value);
  switch (sector % 6) {
    case 0:
      return {value, t, p};
    case 1:
      return {q, value, p};
    case 2:
      return {p, value, t};
    case 3:
      return {p, q, value};
    case 4:
      return {t, p, value};
    default:
      return {value, p, q};
  }
}

Pixel turned(const Pixel& pixel, float factor) {
  const float high = std::max({pixel.r, pixel.g, pixel.b});
  const float low = std::min({pixel.r, pixel.g, pixel.b});
  const bool is_gray = high == low;
  const float saturation = (high - low) / (is_gray ? 1.0F : high);
  const float hue = hue_of(pixel, high, is_gray ? 1.0F : high - low);
  return from_hsv(remainder_of_one(hue + factor), saturation, high);
}

std::uint8_t to_byte(float value) {
  return static_cast<std::uint8_t>(value * static_cast<float>(255.0 + 1.0 - 1e-3));
}

}  // namespace

at::Tensor adjust_hue_of_bytes(const at::Tensor& image, double factor) {
  const std::int64_t height = image.size(1);
  const std::int64_t width = image.size(2);
  const at::Tensor out = at::empty({height, width, 3}, at::kByte);
  std::uint8_t* to = out.data_ptr<std::uint8_t>();
  const std::uint8_t* const from = image.const_data_ptr<std::uint8_t>();
  const std::int64_t plane = image.stride(0);
  const auto value = [](std::uint8_t byte) {
    return static_cast<float>(byte) * static_cast<float>(1.0 / 255.0);
  };
  for (std::int64_t y = 0; y < height; ++y) {
    const std::uint8_t* in = from + y * image.stride(1);
    for (std::int64_t x = 0; x < width; ++x, in += image.stride(2), to += 3) {
      const Pixel pixel = turned({value(in[0]), value(in[plane]), value(in[2 * plane])},
                                 static_cast<float>(factor));
      to[0] = to_byte(pixel.r);
      to[1] = to_byte(pixel.g);
      to[2] = to_byte(pixel.b);
    }
  }
  return out.permute({2, 0, 1});
}

}  // namespace lctl::transforms::functional
