// The target of a request line, "/runs/a%20b?name=x": checked and decoded.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "http/message.h"

namespace lctl::http {

inline constexpr std::size_t kMaxTargetBytes = 8 << 10;
inline constexpr std::size_t kMaxQueryValues = 256;

struct Target {
  std::vector<std::string> segments;  // "/a/b%2Fc" → "a", "b/c"; "/" → none; "/a/" → "a", ""
  Query query;

  // The segments behind slashes. For people: a slash inside a segment looks like the others.
  std::string path() const;
};

// InvalidArgument, naming what is wrong: not of the form /path[?query], longer than
// kMaxTargetBytes, more than kMaxQueryValues, a '%' without two hexadecimal digits, bytes that are
// not UTF-8 once decoded, a NUL, or a segment "." or "..". Pure.
absl::StatusOr<Target> parse_target(std::string_view text);

// "%41" → "A", and with `plus_is_space` (in queries and forms) "+" → " ". Errors as above.
absl::StatusOr<std::string> percent_decode(std::string_view text, bool plus_is_space);

// "a=1&b=x%20y" as it stands in a query or a form; a piece without '=' has the value "". Errors as
// above.
absl::StatusOr<Query> parse_query(std::string_view text);

}  // namespace lctl::http
