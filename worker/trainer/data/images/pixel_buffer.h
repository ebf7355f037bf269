// Memory for one decoded image, checked before it is taken.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace lctl {

// Throws BadSample, naming the file, for an image without pixels or of more than `max_pixels`.
void check_dimensions(std::int64_t height, std::int64_t width, std::int64_t max_pixels,
                      const std::string& name);

// An uninitialised uint8 tensor [channels, height, width] of channels_last strides. The memory is
// that of this thread's last image, when nobody holds it any more: most images are only looked at
// by the transform that makes a smaller one of them, and fresh pages for each cost a twentieth of
// the time of its decoding.
at::Tensor make_pixels(std::int64_t channels, std::int64_t height, std::int64_t width);

}  // namespace lctl
