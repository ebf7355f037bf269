// "Did you mean" for metric keys.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lctl::storage {

// The candidate with the fewest edits from `key`; "" when none is near (more than half of its
// characters differ). Cost: O(|key| * |candidate|) each.
std::string nearest_key(std::string_view key, const std::vector<std::string>& candidates);

}  // namespace lctl::storage
