// Files of samples, from anywhere.
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/webdataset/field_decoder.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  using namespace std::string_literals;
  return {" +17\n", "[[1, 2.5], [3, 4]]", "{\"a\": [true, null, \"b\"]}", "gr\xc3\xbc\xc3\x9f",
          "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x33\x34\x07\x00\x42\xb0\x39\x3f"
          "\x02\x00\x00\x00"s};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  for (const char* extension : {"cls", "txt", "json", "json.gz", "bin.gz"}) {
    try {
      lctl::webdataset::decoder_of(extension, {})(bytes, extension);
    } catch (const lctl::BadSample&) {
      continue;  // refused
    }
  }
  return 0;
}
