// PNG files out of raw pixels.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace lctl {

// Eight bits a sample, rows from the top, channels interleaved: 1 grey, 2 grey and alpha, 3 RGB, 4
// RGBA. `pixels` has width * height * channels bytes, none of the three 0; anything else is
// std::invalid_argument.
std::string encode_png(std::span<const std::uint8_t> pixels, std::uint32_t width,
                       std::uint32_t height, int channels);

}  // namespace lctl
