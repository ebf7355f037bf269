// Filter and order of a search over a list that fits into memory: experiments, models, versions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "storage/search/filter.h"
#include "storage/search/filter_matching.h"

namespace lctl::storage {

// Those of `all` that fit, in order; equal ones as they were. `value_of(entity, key)` is a
// FoundValue.
template <typename Entity, typename ValueOf>
std::vector<Entity> select_from(std::vector<Entity> all, const Filter& where,
                                const std::vector<Order>& order, const ValueOf& value_of) {
  std::erase_if(all, [&](const Entity& entity) {
    return !std::all_of(where.begin(), where.end(), [&](const Comparison& comparison) {
      return holds(comparison, value_of(entity, comparison.key));
    });
  });
  std::stable_sort(all.begin(), all.end(), [&](const Entity& a, const Entity& b) {
    for (const Order& one : order) {
      const auto by_key = compare(value_of(a, one.key), value_of(b, one.key), one.descending);
      if (by_key != 0) return by_key < 0;
    }
    return false;
  });
  return all;
}

// A text, or a number, as a value to compare; of a map the entry of that name, if it is there.
inline FoundValue found_text(std::string text) { return {.text = std::move(text), .number = {}}; }
inline FoundValue found_number(std::int64_t number) {
  return {.text = {}, .number = static_cast<double>(number)};
}
template <typename Map>
FoundValue found_in(const Map& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? FoundValue{} : found_text(found->second);
}

}  // namespace lctl::storage
