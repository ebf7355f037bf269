// torchvision.transforms.v2.functional.resize, for tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace lctl::transforms {

enum class Interpolation { kNearest, kNearestExact, kBilinear, kBicubic };

// By torchvision's name ("nearest-exact"). Throws std::invalid_argument for others.
Interpolation interpolation_of(std::string_view name);

struct Extent {
  std::int64_t height = 0;
  std::int64_t width = 0;
  friend bool operator==(const Extent&, const Extent&) = default;
};

Extent extent_of(const at::Tensor& image);

// What `size` asks of an image: two numbers are height and width; one is for the shorter edge, with
// the longer one `max_size` at most; none makes the longer edge `max_size`.
Extent resized_extent(Extent image, const std::vector<std::int64_t>& size,
                      std::optional<std::int64_t> max_size);

namespace functional {

// Throws BadSample when an edge would become shorter than one pixel.
at::Tensor resize(const at::Tensor& image, Extent to, Interpolation interpolation, bool antialias);

}  // namespace functional
}  // namespace lctl::transforms
