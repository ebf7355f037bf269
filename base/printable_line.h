// Text of unknown quality for people.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lctl {

// `text` as one line that every protobuf string, terminal and JSON file can take: at most `limit`
// bytes, valid UTF-8 (what is not becomes '?'), control characters become spaces. Pure.
std::string printable_line(std::string_view text, std::size_t limit = 500);

}  // namespace lctl
