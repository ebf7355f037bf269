// Images as decoders make them, and their way into batches as networks take them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lctl {

// Whether it is a uint8 image [3, height, width] in which the three channels of a pixel lie
// together, as image files have them.
bool is_interleaved_image(const at::Tensor& image);

// Copies such an image to `to`, of 3 * height * width bytes, as three planes one behind the other:
// what contiguous() makes. ATen does it byte by byte, which takes a third as long as decoding a
// JPEG; here 32 pixels go at once.
void split_into_planes(const at::Tensor& image, std::uint8_t* to);

// The same for `count` pixels of an image; the planes' parts lie `plane` bytes apart.
void split_into_planes(const std::uint8_t* pixels, std::int64_t count, std::uint8_t* to,
                       std::int64_t plane);

}  // namespace lctl
