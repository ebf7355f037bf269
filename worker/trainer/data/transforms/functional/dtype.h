// torchvision.transforms.v2.functional: to_dtype, normalize and erase, for tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace lctl::transforms {

// "float32", "uint8", …: torch's names. Throws std::invalid_argument for others.
at::ScalarType dtype_of(std::string_view name);

namespace functional {

// The value of white: 255 for uint8, 1 for floating point.
double max_value(at::ScalarType type);

// `scale`: black and white of one type become those of the other. Throws
// MisconfigurationException where that cannot be done exactly enough (float32 to int32).
at::Tensor to_dtype(const at::Tensor& image, at::ScalarType type, bool scale);

// (image - mean) / std; one number each for all channels, or one for each. Throws
// MisconfigurationException for an image that is not floating or has other channels.
at::Tensor normalize(const at::Tensor& image, const std::vector<double>& mean,
                     const std::vector<double>& std);

}  // namespace functional
}  // namespace lctl::transforms
