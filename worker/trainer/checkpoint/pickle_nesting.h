// How values of a pickle contain each other.
#pragma once

#include <vector>

#include "worker/trainer/checkpoint/pickle_cursor.h"
#include "worker/trainer/checkpoint/value.h"

namespace lctl::checkpoint {

// Refuses cycles and nesting deeper than kMaxDepth in all `containers` that were made, so that
// nobody who walks or destroys a value has to think of them. Inner containers come first, which
// keeps the walk shallow. Throws PickleError at the cursor's instruction.
void check_nesting(const std::vector<Value>& containers, const PickleCursor& cursor);

}  // namespace lctl::checkpoint
