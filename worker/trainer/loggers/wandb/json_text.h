// Values as the JSON of W&B's records.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "worker/trainer/checkpoint/value.h"

namespace lctl::wandb {

// The shortest digits that read back as the same double; "3" for 3.0. Beyond JSON, as Python's:
// NaN, Infinity, -Infinity.
std::string json_of(double number);
std::string json_of(std::span<const double> numbers);
// Malformed UTF-8 becomes U+FFFD.
std::string json_of(std::string_view text);
// Tensors of one element are numbers, others "tensor of shape [2, 3]"; tuples are lists.
std::string json_of(const checkpoint::Value& value);

}  // namespace lctl::wandb
