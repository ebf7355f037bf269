// Images as decoders make them, stacked into batches as networks take them.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace lctl {

// Whether all are uint8 images [3, height, width] of one size in which the three channels of a
// pixel lie together, as image files have them.
bool are_interleaved_images(const std::vector<at::Tensor>& images);

// at::stack() of those: a contiguous tensor [n, 3, height, width]. ATen copies such images byte by
// byte, which takes a third as long as decoding a JPEG; here 16 pixels go at once.
at::Tensor stack_interleaved_images(const std::vector<at::Tensor>& images);

}  // namespace lctl
