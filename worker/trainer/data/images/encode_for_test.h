// Small images as files, for tests: made by the encoders of the same libraries.
#pragma once

#include <string>

namespace lctl {

struct JpegForTest {
  int height = 9;
  int width = 17;
  int components = 3;  // 1 grey, 3 RGB, 4 CMYK
  bool progressive = false;
};

struct PngForTest {
  int height = 9;
  int width = 17;
  int color = 2;  // PNG's numbers: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha
  int depth = 8;
  bool interlaced = false;
};

std::string encode_jpeg(const JpegForTest& what = {});
std::string encode_png(const PngForTest& what = {});

// The file cut to `bytes`, and with one bit turned.
std::string cut(const std::string& file, std::size_t bytes);
std::string with_bit_turned(const std::string& file, std::size_t bit);

}  // namespace lctl
