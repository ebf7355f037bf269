// PNG, by libpng.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>

#include "worker/trainer/data/images/decode_image.h"

namespace lctl {

// decode_image() for bytes that begin as PNG files do. Of an animation: the first image. Chunks
// that do not change pixels (text, colour profiles, gamma) are skipped, their checksums are not.
// Any thread.
at::Tensor decode_png(std::string_view bytes, const std::string& name,
                      const DecodeOptions& options);

}  // namespace lctl
