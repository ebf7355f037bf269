// Which characters a job file and its overrides may have.
#pragma once

#include <cstddef>
#include <string_view>

namespace lctl::jobspec {

// Length of the well-formed UTF-8 sequence at the front of `text`, which is not empty; 0 =
// malformed.
std::size_t utf8_length(std::string_view text);

bool is_utf8(std::string_view text);

// A byte that only a terminal would understand: below a space (tabs and line ends too), or DEL.
constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace lctl::jobspec
