// Tensors in a pickle: references to storages, and views of them.
#pragma once

#include <ATen/core/TensorBody.h>
#include <c10/core/ScalarType.h>
#include <c10/core/Storage.h>

#include <cstdint>
#include <string>
#include <vector>

#include "worker/trainer/checkpoint/pickle_cursor.h"
#include "worker/trainer/checkpoint/value.h"

namespace lctl::checkpoint {

// What a persistent id names: ('storage', torch.FloatStorage, key, location, numel).
struct StorageName {
  std::string key;  // of entry data/<key>
  at::ScalarType type = at::kFloat;
  std::int64_t numel = 0;

  std::size_t bytes() const { return static_cast<std::size_t>(numel) * c10::elementSize(type); }
};

struct StorageRef {
  c10::Storage storage;
  at::ScalarType type = at::kFloat;
  std::int64_t numel = 0;
};

// Both throw PickleError at the cursor's instruction.

// The location is read over: everything is loaded to the CPU.
StorageName storage_name(const Value& persistent_id, const PickleCursor& cursor);

// torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, …); the
// storage itself comes beside its `arguments`. A tensor that reaches outside it is refused.
at::Tensor tensor_over(const StorageRef& storage, const std::vector<Value>& arguments,
                       const PickleCursor& cursor);

}  // namespace lctl::checkpoint
