// PNG files from anywhere.
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/images/decode_image.h"
#include "worker/trainer/data/images/encode_for_test.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {encode_png(),
          encode_png({.color = 3, .depth = 4, .interlaced = true}),
          encode_png({.color = 0, .depth = 16}),
          encode_png({.color = 0, .depth = 1}),
          encode_png({.color = 4, .interlaced = true}),
          encode_png({.color = 6, .depth = 16})};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const lctl::ImageReadMode mode : {lctl::ImageReadMode::kRgb, lctl::ImageReadMode::kGray}) {
    try {
      const at::Tensor image = lctl::decode_image({reinterpret_cast<const char*>(data), size}, "x",
                                                  {.mode = mode, .max_pixels = 1 << 20});
      if (image.dim() != 3 || image.numel() == 0) __builtin_trap();
    } catch (const lctl::BadSample&) {
      return 0;  // refused
    }
  }
  return 0;
}
