// torchvision.transforms.v2.functional: colours of tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lctl::transforms::functional {

// All throw MisconfigurationException for images of another count of channels than 1 or 3.

// 1 or 3 channels, all the same in the latter case.
at::Tensor rgb_to_grayscale(const at::Tensor& image, std::int64_t channels);

// factor >= 0; 1 leaves the image as it is.
at::Tensor adjust_brightness(const at::Tensor& image, double factor);
at::Tensor adjust_contrast(const at::Tensor& image, double factor);
at::Tensor adjust_saturation(const at::Tensor& image, double factor);

// Turns the hue; factor in [-0.5, 0.5], 1 would be the whole circle.
at::Tensor adjust_hue(const at::Tensor& image, double factor);

}  // namespace lctl::transforms::functional
