// Memory for one decoded image, checked before it is taken.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace lctl {

// Throws BadSample, naming the file, for an image without pixels or of more than `max_pixels`.
void check_dimensions(std::int64_t height, std::int64_t width, std::int64_t max_pixels,
                      const std::string& name);

// libjpeg-turbo writes rows that begin at a multiple of 16 bytes around the caches, straight to
// memory. Whoever reads the pixels next would wait for them (a twentieth of the time of decoding),
// so rows begin at such an offset from memory that malloc() gives.
constexpr std::int64_t kCachedOffset = 8;

// An uninitialised uint8 tensor [channels, height, width] of channels_last strides. The memory is
// that of this thread's last image, when nobody holds it any more: most images are only looked at
// by the transform that makes a smaller one of them, and fresh pages for each cost a twentieth of
// the time of its decoding.
at::Tensor make_pixels(std::int64_t channels, std::int64_t height, std::int64_t width);

}  // namespace lctl
