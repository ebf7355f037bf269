// Values to pickle protocol 2, in the form that torch.load(weights_only=True) accepts.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "worker/trainer/checkpoint/value.h"

namespace lctl::checkpoint {

struct Pickled {
  std::string bytes;  // data.pkl
  // storages[i] becomes entry data/<i>: bytes of the whole storage, on the device where they are.
  std::vector<at::Tensor> storages;
};

// Throws std::invalid_argument for a tensor type that Python's torch.save does not know and for
// values nested deeper than kMaxDepth. Pure.
Pickled pickle(const Value& value);

inline constexpr int kMaxDepth = 200;

}  // namespace lctl::checkpoint
