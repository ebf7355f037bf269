// What differs between two checkpoints.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "worker/trainer/checkpoint/value.h"

namespace lctl::checkpoint {

// Of two tensors of one shape and dtype, computed in double. A NaN in one place of both is equal.
struct TensorChange {
  std::int64_t elements = 0;
  std::int64_t changed = 0;  // elements of another value
  double largest = 0;        // largest absolute difference; NaN where a number became NaN
  double relative = 0;       // norm of the difference / norm of the first; infinite when that is 0
};

struct Difference {
  enum class Kind { kChanged, kOnlyFirst, kOnlySecond };
  Kind kind = Kind::kChanged;
  std::string path;   // "state_dict.model.0.weight", "optimizer_states.0.state.3.exp_avg"
  std::string first;  // "float32 [128, 784]", "0.1", "'adam'", "dict of 3"; "" = not there
  std::string second;
  std::optional<TensorChange> tensor;
};

struct Comparison {
  std::vector<Difference> differences;  // in the order of the first, what only the second has last
  std::int64_t equal_tensors = 0;
  std::int64_t equal_elements = 0;  // of those tensors
  std::int64_t equal_values = 0;    // numbers, texts and so on
};

// Dictionaries are compared key by key in any order, lists and tuples item by item; what one of
// them lacks is told once, not each part of it. Tensors must be on the CPU.
Comparison compare(const Value& first, const Value& second);

}  // namespace lctl::checkpoint
