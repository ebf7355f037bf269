// The rule cells of the key table (bounds and choices) as code.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jobspec/value.h"

namespace lctl::jobspec {

// "" when `value`, which has its type, keeps the rule; else what was expected ("an int >= 1").
// Lists are checked element by element. See keys::Argument::rule for the language.
std::string broken_rule(std::string_view rule, const Value& value);

// The choices of "one of: a, b" and of "only: a, b"; empty for other cells.
std::vector<std::string_view> choices_of(std::string_view cell);

}  // namespace lctl::jobspec
