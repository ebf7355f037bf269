// Arrays from anywhere.
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/formats/npy.h"

namespace {

std::string file_of(const std::string& header, std::size_t data) {
  std::string bytes("\x93NUMPY\x01\0", 8);
  bytes += static_cast<char>(header.size());
  bytes += '\0';
  return bytes + header + std::string(data, '\1');
}

}  // namespace

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {file_of("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24),
          file_of("{'descr': '>c16', 'fortran_order': True, 'shape': (1,), }\n", 16),
          file_of("{'descr': '|b1', 'fortran_order': False, 'shape': (), }\n", 1),
          file_of("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1L,), }\n", 4)};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const at::Tensor array =
        lctl::read_npy(lctl::SharedBytes::of({reinterpret_cast<const char*>(data), size}, "a.npy"));
    // Every element is inside the file.
    static_cast<void>(array.clone());
  } catch (const lctl::BadSample&) {
    return 0;  // refused
  }
  return 0;
}
