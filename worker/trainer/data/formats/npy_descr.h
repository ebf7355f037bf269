// NumPy's short names of element types: '<f4', '|u1', '>c16', …
#pragma once

#include <c10/core/ScalarType.h>

#include <string>
#include <string_view>

namespace lctl {

struct NpyDescr {
  at::ScalarType dtype = at::kFloat;
  bool big_endian = false;
  std::string refusal;  // why torch has no such element type, and what to do; "" when it has
};

NpyDescr parse_npy_descr(std::string_view descr);

// The refusal of a structured element type; `text` is its beginning.
std::string structured_refusal(std::string_view text);

}  // namespace lctl
