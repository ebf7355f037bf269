// Which characters a job file and its overrides may have, beside being UTF-8 (base/utf8.h).
#pragma once

namespace lctl::jobspec {

// A byte that only a terminal would understand: below a space (tabs and line ends too), or DEL.
constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace lctl::jobspec
