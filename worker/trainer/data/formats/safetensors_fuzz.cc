// Tensors from anywhere.
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/formats/safetensors.h"

namespace {

std::string file_of(const std::string& header, std::size_t data) {
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size() & 0xff);
  bytes[1] = static_cast<char>(header.size() >> 8);
  return bytes + header + std::string(data, '\1');
}

}  // namespace

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {
      file_of("{}", 0),
      file_of(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],)"
              R"("data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[],"data_offsets":[8,10]}}  )",
              10),
      file_of(R"({"a":{"shape":[0,3],"dtype":"BOOL","data_offsets":[0,0]},)"
              R"("b":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})",
              1)};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const lctl::SafetensorsFile file(
        lctl::SharedBytes::of({reinterpret_cast<const char*>(data), size}, "m.safetensors"));
    for (const std::string& name : file.names()) static_cast<void>(file.get(name).clone());
  } catch (const lctl::BadSample&) {
    return 0;  // refused
  }
  return 0;
}
