// Files that say they are zip files.
#include <string>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/agent/chunk_cuts.h"
#include "worker/agent/testing/memory_file.h"
#include "worker/agent/testing/zip_file.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  const std::vector<std::pair<std::string, std::string>> entries = {
      {"archive/data.pkl", "pickle"}, {"archive/byteorder", "little"}, {"archive/data/0", "1234"}};
  return {agent::zip_file(entries), agent::zip_file(entries, true), agent::zip_file({}), ""};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace agent = lctl::agent;
  const lctl::Descriptor file = agent::memory_file({reinterpret_cast<const char*>(data), size});
  auto layout = agent::zip_layout(file.get(), size, "fuzzed");
  std::optional<agent::ZipLayout> found;
  if (layout.ok()) found = *std::move(layout);
  // Whatever the file says of itself, its chunks are the whole file and as the store takes them.
  std::uint64_t sum = 0;
  for (const std::uint64_t chunk : agent::chunk_sizes(size, found)) {
    if (chunk == 0 || chunk > agent::kMaxChunkBytes) __builtin_trap();
    sum += chunk;
  }
  if (sum != size) __builtin_trap();
  return 0;
}
