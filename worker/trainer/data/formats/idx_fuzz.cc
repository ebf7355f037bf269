// MNIST's files from anywhere, plain and compressed.
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/formats/idx.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  using namespace std::string_literals;
  return {"\0\0\x08\x01\0\0\0\x03"s + "abc", "\0\0\x0b\x02\0\0\0\x01\0\0\0\x02"s + "abcd",
          "\0\0\x0e\x00"s + "12345678",
          // gzip of the first one
          "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x63\x60\xe0\x60\x64"
          "\x60\x60\x60\x4e\x4c\x4a\x06\x00\x54\x24\x25\xc4\x0b\x00\x00\x00"s};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const at::Tensor array =
        lctl::read_idx(lctl::SharedBytes::of({reinterpret_cast<const char*>(data), size}, "idx"));
    static_cast<void>(array.clone());
  } catch (const lctl::BadSample&) {
    return 0;  // refused
  }
  return 0;
}
