#include "worker/trainer/data/transforms/colors.h"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <stdexcept>

#include "worker/trainer/data/transforms/functional/color.h"

namespace lctl::transforms {
namespace {

void check_range(const ColorJitter::Range& range, double low, double high, const char* name) {
  if (!range || (low <= range->first && range->first <= range->second && range->second <= high))
    return;
  throw std::invalid_argument(fmt::format("{} values must lie in [{}, {}] and increase, not {}, {}",
                                          name, low, high, range->first, range->second));
}

}  // namespace

Grayscale::Grayscale(std::int64_t num_output_channels) : channels_(num_output_channels) {
  if (channels_ != 1 && channels_ != 3)
    throw std::invalid_argument(
        fmt::format("num_output_channels must be 1 or 3, not {}", channels_));
}

at::Tensor Grayscale::apply(const at::Tensor& image, RandomStream& /*random*/) const {
  return functional::rgb_to_grayscale(image, channels_);
}

at::Tensor RandomGrayscale::apply(const at::Tensor& image, RandomStream& random) const {
  return random.chance(p_) ? functional::rgb_to_grayscale(image, image.size(-3)) : image;
}

ColorJitter::ColorJitter(const Options& options) : options_(options) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  check_range(options_.brightness, 0, kInfinity, "brightness");
  check_range(options_.contrast, 0, kInfinity, "contrast");
  check_range(options_.saturation, 0, kInfinity, "saturation");
  check_range(options_.hue, -0.5, 0.5, "hue");
}

at::Tensor ColorJitter::apply(const at::Tensor& image, RandomStream& random) const {
  using Adjust = at::Tensor (*)(const at::Tensor&, double);
  const std::array<std::pair<const Range*, Adjust>, 4> adjustments = {{
      {&options_.brightness, functional::adjust_brightness},
      {&options_.contrast, functional::adjust_contrast},
      {&options_.saturation, functional::adjust_saturation},
      {&options_.hue, functional::adjust_hue},
  }};
  std::array<std::size_t, 4> order = {0, 1, 2, 3};
  for (std::size_t i = order.size() - 1; i > 0; --i) {
    std::swap(order[i],
              order[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(i) + 1))]);
  }
  std::array<double, 4> factors = {};
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const Range& range = *adjustments[i].first;
    if (range) factors[i] = random.uniform(range->first, range->second);
  }
  at::Tensor out = image;
  for (const std::size_t i : order) {
    if (adjustments[i].first->has_value()) out = adjustments[i].second(out, factors[i]);
  }
  return out;
}

}  // namespace lctl::transforms
