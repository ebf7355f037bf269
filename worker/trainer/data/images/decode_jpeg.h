// JPEG, by libjpeg-turbo.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <string_view>

#include "worker/trainer/data/images/decode_image.h"

namespace lctl {

// decode_image() for bytes that begin as JPEG files do. Inverse DCT and upsampling are Pillow's
// (and libjpeg's default): the slow, accurate ones. Any thread.
at::Tensor decode_jpeg(std::string_view bytes, const std::string& name,
                       const DecodeOptions& options);

// decode_image_into() for them.
std::optional<at::Tensor> decode_jpeg_into(const PixelMemory& memory, std::string_view bytes,
                                           const std::string& name, const DecodeOptions& options);

}  // namespace lctl
