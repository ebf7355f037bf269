// Paths of any bytes: what is allowed stays below its folder.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "storage/tracking/artifact_store.h"
#include "tests/support/fuzz.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {"3/abcdefghij/artifacts/model/MLmodel", "a/../b", "/etc/passwd", "a//b", "..", "a\\b"};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path(reinterpret_cast<const char*>(data), size);
  if (!lctl::storage::check_artifact_path(path).ok()) return 0;
  const std::filesystem::path file(path);
  if (path.size() > lctl::storage::kMaxArtifactPathBytes || file.is_absolute() ||
      file.lexically_normal() != file || *file.begin() == "..") {
    __builtin_trap();
  }
  return 0;
}
