// What a tensor holds, in a few words: for summaries and for comparing ranks.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "worker/trainer/core/trainable_module.h"

namespace lctl {

// Lower-case hex SHA-256 of the raw little-endian bytes, contiguous.
std::string tensor_sha256(const at::Tensor& tensor);

// One SHA-256 over all tensors in order (name, a zero byte, bytes of each).
std::string state_sha256(const std::vector<NamedTensor>& tensors);

// "float32", "int64", …: torch's dtype names.
std::string dtype_name(at::ScalarType type);

}  // namespace lctl
