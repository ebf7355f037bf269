#include "worker/trainer/connectors/batch_size.h"

#include <string>

#include "worker/trainer/core/console.h"
#include "worker/trainer/core/errors.h"

namespace lctl {
namespace {

constexpr std::int64_t kUnknown = -1;

// Calls visit(size) for each leaf in order, until it returns false.
template <typename Visit>
bool walk(const Batch& batch, const Visit& visit) {
  if (batch.is_tensor()) return visit(batch.tensor().dim() == 0 ? 1 : batch.tensor().size(0));
  if (batch.is_list()) {
    for (const Batch& item : batch.list()) {
      if (!walk(item, visit)) return false;
    }
    return true;
  }
  if (batch.is_map()) {
    for (const auto& entry : batch.map()) {
      if (!walk(entry.second, visit)) return false;
    }
    return true;
  }
  return visit(kUnknown);
}

}  // namespace

std::int64_t extract_batch_size(const Batch& batch) {
  std::int64_t found = kUnknown;
  walk(batch, [&found](std::int64_t size) {
    if (found == kUnknown) {
      found = size;
      return true;
    }
    if (found == size) return true;
    console::warn(
        "Trying to infer the `batch_size` from an ambiguous collection. The batch size we found "
        "is " +
        std::to_string(found) +
        ". To avoid any miscalculations, use `self.log(..., batch_size=batch_size)`.");
    return false;
  });
  if (found == kUnknown) {
    throw MisconfigurationException(
        "We could not infer the batch_size from the batch. Either simplify its structure or "
        "provide the batch_size as "
        "`self.log(..., batch_size=batch_size)`.");
  }
  return found;
}

}  // namespace lctl
