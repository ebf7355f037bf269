// Archives of arrays from anywhere.
#include <minizip/zip.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/trainer/data/bad_sample.h"
#include "worker/trainer/data/formats/npz.h"

namespace {

// Two members, written by minizip through a file.
std::string archive(int method, bool zip64) {
  const char* folder = std::getenv("TEST_TMPDIR");
  const std::string path = std::string(folder != nullptr ? folder : "/tmp") + "/npz_fuzz_seed.zip";
  const std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (40,), }\n";
  const std::string array = std::string("\x93NUMPY\x01\0", 8) + static_cast<char>(header.size()) +
                            '\0' + header + std::string(40, 'x');
  zipFile zip = zipOpen64(path.c_str(), APPEND_STATUS_CREATE);
  for (const char* name : {"a.npy", "b.npy"}) {
    zipOpenNewFileInZip64(zip, name, nullptr, nullptr, 0, nullptr, 0, nullptr, method, 6,
                          zip64 ? 1 : 0);
    zipWriteInFileInZip(zip, array.data(), static_cast<unsigned>(array.size()));
    zipCloseFileInZip(zip);
  }
  zipClose(zip, nullptr);
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::filesystem::remove(path);
  return bytes;
}

}  // namespace

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {archive(0, false), archive(Z_DEFLATED, false), archive(Z_DEFLATED, true)};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const lctl::NpzFile file(
        lctl::SharedBytes::of({reinterpret_cast<const char*>(data), size}, "a.npz"));
    for (const std::string& name : file.names()) static_cast<void>(file.get(name).clone());
  } catch (const lctl::BadSample&) {
    return 0;  // refused
  }
  return 0;
}
