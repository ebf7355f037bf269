// "train-{000000..000123}.tar" as the shell expands it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lctl::webdataset {

// As Python's braceexpand, which webdataset uses: {a,b}, nested ones, number ranges {00..12} and
// {1..9..2} (a leading zero fills all up to one width), letter ranges {a..f}; a backslash makes the
// next character plain; braces around anything else stay. Pure. Throws MisconfigurationException
// for unbalanced braces, and for more than a million results.
std::vector<std::string> expand_braces(std::string_view pattern);

}  // namespace lctl::webdataset
