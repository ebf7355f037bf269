#include "worker/trainer/data/images/pixel_buffer.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include "worker/trainer/data/bad_sample.h"

namespace lctl {

void check_dimensions(std::int64_t height, std::int64_t width, std::int64_t max_pixels,
                      const std::string& name) {
  if (height <= 0 || width <= 0)
    throw BadSample(fmt::format("{}: its size is {} x {} pixels", name, width, height));
  if (height > max_pixels / width) {
    throw BadSample(fmt::format("{}: {} x {} pixels are more than the limit of {}", name, width,
                                height, max_pixels));
  }
}

at::Tensor make_pixels(std::int64_t channels, std::int64_t height, std::int64_t width) {
  return at::empty({height, width, channels}, at::kByte).permute({2, 0, 1});
}

}  // namespace lctl
