// MNIST's IDX files (train-images-idx3-ubyte, also .gz): a big-endian header, then numbers.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/trainer/data/formats/array_layout.h"
#include "worker/trainer/data/formats/shared_bytes.h"

namespace lctl {

struct IdxHeader {
  ArrayLayout layout;
  std::uint64_t data_offset = 0;
};

// Whether bytes begin as an IDX file does: two zeros, a type, a rank.
bool is_idx(std::string_view bytes);

// Any of the format's types (uint8, int8, int16, int32, float32, float64) and any rank. Throws
// BadSample "<name>: …". Any thread.
IdxHeader parse_idx_header(std::string_view bytes, const std::string& name);

// The array; gzip's bytes are inflated, but never to more than the header inside promises. A file
// that is longer or shorter than its header says is a BadSample.
at::Tensor read_idx(const SharedBytes& file);

}  // namespace lctl
