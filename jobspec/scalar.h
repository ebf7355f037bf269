// What a plain (unquoted) YAML scalar means: the rules of YAML 1.1 as PyYAML has them, with
// LightningCLI's change that `1e-3` and `1e3` are numbers too. Quoted scalars never come here: they
// are texts. Timestamps are texts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace lctl::jobspec {

struct PlainText {};       // a text: nothing else fits
struct NumberTooLarge {};  // looks like a number, fits neither 64 bits nor a double

using Scalar = std::variant<std::monostate, bool, std::int64_t, double, PlainText, NumberTooLarge>;

// "null", "~" and "" are std::monostate (null). Any thread.
Scalar resolve_plain_scalar(std::string_view text);

// True for a number in base 60 ("1:30" is 90): allowed by YAML 1.1, and hardly ever meant.
bool is_base_60(std::string_view text);

// True for an integer with zeros in front ("010" is 8): hardly ever meant either.
bool is_base_8(std::string_view text);

// The shortest text that reads back as the same float, always with a point: "0.1", "1.0e-05",
// ".inf".
std::string write_float(double value);

}  // namespace lctl::jobspec
