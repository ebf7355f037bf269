// torchvision.transforms.v2.functional: crops, borders and flips of tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "worker/trainer/data/transforms/functional/resize.h"

namespace lctl::transforms {

struct Padding {
  std::int64_t left = 0;
  std::int64_t top = 0;
  std::int64_t right = 0;
  std::int64_t bottom = 0;
  bool any() const { return left != 0 || top != 0 || right != 0 || bottom != 0; }
};

// Of one number for all sides, two (left and right, top and bottom) or four. Throws
// std::invalid_argument for another count.
Padding padding_of(const std::vector<std::int64_t>& numbers);

enum class PaddingMode { kConstant, kEdge, kReflect, kSymmetric };

// "constant", "edge", "reflect", "symmetric". Throws std::invalid_argument for others.
PaddingMode padding_mode_of(std::string_view name);

struct Box {
  std::int64_t top = 0;
  std::int64_t left = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
};

namespace functional {

at::Tensor horizontal_flip(const at::Tensor& image);
at::Tensor vertical_flip(const at::Tensor& image);

// A view. The box lies within the image.
at::Tensor crop(const at::Tensor& image, const Box& box);

// Smaller images get a black border first.
at::Tensor center_crop(const at::Tensor& image, Extent to);

// `fill`: one number, or one for each channel (kConstant only). Throws BadSample where the image is
// too small to be reflected that far, MisconfigurationException for another count of numbers.
at::Tensor pad(const at::Tensor& image, const Padding& padding, const std::vector<double>& fill,
               PaddingMode mode);

}  // namespace functional
}  // namespace lctl::transforms
