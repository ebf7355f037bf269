// Numbers as they lie in a file, and the tensor over them.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/data/formats/shared_bytes.h"

namespace lctl {

// What a file says about one array; nothing of it is believed before it is checked.
struct ArrayLayout {
  at::ScalarType dtype = at::kFloat;
  bool big_endian = false;
  bool fortran_order = false;  // the first index runs fastest
  std::vector<std::int64_t> shape;
};

// Bytes of its elements; nothing for a shape that no tensor can have (a negative dimension, more
// than 64 of them, more than 2^63 bytes, empty dimensions counted as 1).
std::optional<std::uint64_t> byte_count(const ArrayLayout& layout);

// "3x4 float32", for messages.
std::string layout_text(const ArrayLayout& layout);

// A tensor over the first byte_count() bytes of `data`, which keeps them alive. Nothing is copied,
// unless numbers are big-endian or not aligned to their size. Throws BadSample, naming `data`, for
// a shape that is impossible, for too few bytes, and for a bool that is neither 0 nor 1.
at::Tensor tensor_over(const SharedBytes& data, const ArrayLayout& layout);

}  // namespace lctl
