// Pillow's conversions between colour spaces, a row at a time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lctl {

// ITU-R 601-2 luma in 16 fractional bits: convert("L") of an RGB image.
inline void rgb_to_gray(const std::uint8_t* rgb, std::uint8_t* gray, std::size_t pixels) {
  for (std::size_t i = 0; i < pixels; ++i, rgb += 3) {
    gray[i] = static_cast<std::uint8_t>(
        (rgb[0] * 19595U + rgb[1] * 38470U + rgb[2] * 7471U + 0x8000U) >> 16);
  }
}

// Inks as they stand in a JPEG file, which by Adobe's custom means 255 for none: convert("RGB") of
// what Pillow opens as CMYK.
inline void inverted_cmyk_to_rgb(const std::uint8_t* cmyk, std::uint8_t* rgb, std::size_t pixels) {
  for (std::size_t i = 0; i < pixels; ++i, cmyk += 4, rgb += 3) {
    const unsigned light = cmyk[3];  // 255 - black
    for (int channel = 0; channel < 3; ++channel) {
      const unsigned product = (255U - cmyk[channel]) * light + 128U;
      rgb[channel] = static_cast<std::uint8_t>(light - ((product + (product >> 8)) >> 8));
    }
  }
}

// Big-endian 16 bits to 8: larger values are clipped, as Pillow does it.
inline void clip_gray16(const std::uint8_t* gray16, std::uint8_t* gray, std::size_t pixels) {
  for (std::size_t i = 0; i < pixels; ++i, gray16 += 2) gray[i] = gray16[0] == 0 ? gray16[1] : 255;
}

inline void gray_to_rgb(const std::uint8_t* gray, std::uint8_t* rgb, std::size_t pixels) {
  for (std::size_t i = 0; i < pixels; ++i, rgb += 3) rgb[0] = rgb[1] = rgb[2] = gray[i];
}

}  // namespace lctl
