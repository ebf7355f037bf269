// JPEG and PNG files to tensors, with the values that Pillow gives.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace lctl {

// torchvision's ImageReadMode. kRgb: 3 channels, as Pillow's convert("RGB"); kGray: 1 channel, as
// convert("L"). Alpha and transparent colours are dropped, CMYK is converted.
enum class ImageReadMode { kRgb, kGray };

struct DecodeOptions {
  ImageReadMode mode = ImageReadMode::kRgb;
  // Larger images are refused before memory is taken for them.
  std::int64_t max_pixels = std::int64_t{1} << 26;
};

// A uint8 tensor [channels, height, width]. In memory the channels of a pixel lie together (the
// order of the files, and the one that Resize is fastest with): strides are those of channels_last.
//
// What the file is, its first bytes say. Differences to a picture viewer, all of them Pillow's:
// the orientation in EXIF and colour profiles are not applied; 16 bits for each channel keep the
// upper 8, but grey of 16 bits is clipped at 255.
//
// Throws BadSample, "NAME: why", for anything that is not a whole JPEG or PNG file. Pillow's
// measure of whole: what libjpeg only warns of (bytes too many between markers) does no harm, an
// end that is missing does. Thread rule: any thread, any number at once.
at::Tensor decode_image(std::string_view bytes, const std::string& name,
                        const DecodeOptions& options = {});

// Memory for an image, asked for when its size is known: uint8 [channels, height, width],
// contiguous. Null: there is none for an image of that size.
using PixelMemory =
    std::function<std::uint8_t*(std::int64_t channels, std::int64_t height, std::int64_t width)>;

// decode_image() into `memory`, a few rows at a time, so that they are still in the processor's
// cache when they get there. The image as decode_image() gives it where there was no memory. An
// exception leaves anything in the memory.
std::optional<at::Tensor> decode_image_into(const PixelMemory& memory, std::string_view bytes,
                                            const std::string& name,
                                            const DecodeOptions& options = {});

}  // namespace lctl
