// The JSON header of a .safetensors file, as it says it; offsets are not checked yet.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lctl {

struct SafetensorsHeader {
  struct Entry {
    std::string name;
    std::string dtype;  // "F32", …
    std::vector<std::int64_t> shape;
    std::array<std::uint64_t, 2> offsets = {};  // begin, end; from the end of the header
  };
  std::vector<Entry> entries;
  std::vector<std::pair<std::string, std::string>> metadata;
};

// Memory is in proportion to the text: the JSON is checked while it is read, not stored. Throws
// BadSample "<file>: the header …" (a key twice, a missing or unknown one, another type).
SafetensorsHeader parse_safetensors_header(std::string_view json, const std::string& file);

}  // namespace lctl
