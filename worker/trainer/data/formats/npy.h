// NumPy's .npy files: a header that is a Python dict literal, and the array's bytes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/trainer/data/formats/array_layout.h"
#include "worker/trainer/data/formats/shared_bytes.h"

namespace lctl {

struct NpyHeader {
  ArrayLayout layout;
  std::uint64_t data_offset = 0;
};

// Formats 1.0, 2.0 and 3.0; no Python is evaluated. Throws BadSample "<name>: … (at byte <n>)" for
// anything else, and for element types that torch does not have: Python objects (they need pickle,
// which runs code), text, dates, structures, long doubles. Any thread.
NpyHeader parse_npy_header(std::string_view bytes, const std::string& name);

// The array, over `file`'s bytes wherever it can be. As numpy.load, it does not look at bytes
// behind the array.
at::Tensor read_npy(const SharedBytes& file);

}  // namespace lctl
