#include "worker/trainer/checkpoint/pickle_nesting.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "worker/trainer/checkpoint/pickle_writer.h"

namespace lctl::checkpoint {
namespace {

class NestingWalk {
 public:
  explicit NestingWalk(const PickleCursor& cursor) : cursor_(cursor) {}

  // Levels of containers below `value`, which lies at `level`.
  int measure(const Value& value, int level) {
    const void* identity = value.is_list()    ? static_cast<const void*>(&value.as_list())
                           : value.is_tuple() ? static_cast<const void*>(&value.as_tuple())
                           : value.is_dict()  ? static_cast<const void*>(&value.as_dict())
                                              : nullptr;
    if (identity == nullptr) return 0;
    if (const auto known = depth_of_.find(identity); known != depth_of_.end()) return known->second;
    refuse_deeper_than_allowed(level);
    if (!open_.insert(identity).second) cursor_.fail("a container that contains itself");
    int deepest = 0;
    const auto visit = [&](const Value& part) {
      deepest = std::max(deepest, 1 + measure(part, level + 1));
    };
    if (value.is_list()) {
      for (const Value& item : value.as_list()) visit(item);
    } else if (value.is_tuple()) {
      for (const Value& item : value.as_tuple().items) visit(item);
    } else {
      for (const auto& [key, item] : value.as_dict().entries()) visit(item);
      if (value.as_dict().metadata != nullptr) {
        for (const auto& [key, item] : value.as_dict().metadata->entries()) visit(item);
      }
    }
    refuse_deeper_than_allowed(deepest);
    open_.erase(identity);
    depth_of_.emplace(identity, deepest);
    return deepest;
  }

 private:
  void refuse_deeper_than_allowed(int levels) const {
    if (levels <= kMaxDepth) return;
    cursor_.fail(fmt::format("values nested deeper than {} levels", kMaxDepth));
  }

  const PickleCursor& cursor_;
  std::unordered_map<const void*, int> depth_of_;
  std::unordered_set<const void*> open_;
};

}  // namespace

void check_nesting(const std::vector<Value>& containers, const PickleCursor& cursor) {
  NestingWalk walk(cursor);
  for (const Value& container : containers) walk.measure(container, 0);
}

}  // namespace lctl::checkpoint
