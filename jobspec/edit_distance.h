// "Did you mean": the nearest of some names.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lctl::jobspec {

// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`; a change of
// case only counts one half of a change, rounded up over all. Cost: |a| * |b|; longer than 64: |a|
// + |b|.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The name that is near enough to be what was meant (a third of its letters may differ, two at most
// for short ones); the first of equally near ones; "" = none.
std::string nearest_name(std::string_view given, const std::vector<std::string_view>& names);

}  // namespace lctl::jobspec
