// What well-formed UTF-8 is: text from outside is asked before it is shown, sent or stored.
#pragma once

#include <cstddef>
#include <string_view>

namespace lctl {

// Bytes of the character at the front of `text`, which is not empty; 0 = malformed (overlong forms,
// surrogates and numbers beyond U+10FFFF are). Pure. Source: RFC 3629, section 4.
std::size_t utf8_length(std::string_view text);

bool is_utf8(std::string_view text);

}  // namespace lctl
