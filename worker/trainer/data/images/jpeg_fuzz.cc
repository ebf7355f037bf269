// JPEG files from anywhere.
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/images/decode_image.h"
#include "worker/trainer/data/images/encode_for_test.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {encode_jpeg(), encode_jpeg({.components = 1, .progressive = true}),
          encode_jpeg({.components = 4}), encode_jpeg({.height = 1, .width = 1})};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const lctl::ImageReadMode mode : {lctl::ImageReadMode::kRgb, lctl::ImageReadMode::kGray}) {
    try {
      const at::Tensor image = lctl::decode_image({reinterpret_cast<const char*>(data), size}, "x",
                                                  {.mode = mode, .max_pixels = 1 << 20});
      if (image.dim() != 3 || image.numel() == 0) __builtin_trap();
      std::vector<std::uint8_t> planes(static_cast<std::size_t>(image.numel()));
      if (lctl::decode_image_into([&](auto...) { return planes.data(); },
                                  {reinterpret_cast<const char*>(data), size}, "x", {.mode = mode}))
        __builtin_trap();
    } catch (const lctl::BadSample&) {
      return 0;  // refused
    }
  }
  return 0;
}
