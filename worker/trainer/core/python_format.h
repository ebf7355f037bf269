// Numbers and strings as Python prints them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lctl {

// repr(float): shortest digits that read back as the same double; "1.0", "1e-05", "nan", "inf".
std::string python_repr(double value);

// repr(str): single quotes unless the text has some and no double ones.
std::string python_repr(std::string_view text);

// format(value, spec) for a float and an int, with the format mini-language that file names use:
// [[fill]align][sign][#][0][width][,][.precision][type]. Throws std::invalid_argument in Python's
// words, e.g. "Unknown format code 'd' for object of type 'float'".
std::string python_format(double value, std::string_view spec);
std::string python_format(std::int64_t value, std::string_view spec);

}  // namespace lctl
