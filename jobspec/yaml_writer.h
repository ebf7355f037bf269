// Values as YAML text that PyYAML, yaml-cpp and yaml_reader.h read back as the same Values.
#pragma once

#include <cstddef>
#include <string>

#include "jobspec/value.h"

namespace lctl::jobspec {

// Block style, two spaces a level, a final newline; lists of scalars in brackets on one line.
// Texts that could be read as something else are quoted.
std::string write_yaml(const Value& value);

// One line in flow style, for messages and lists of scalars. Stops soon after `limit` bytes.
std::string write_yaml_line(const Value& value, std::size_t limit = static_cast<std::size_t>(-1));

}  // namespace lctl::jobspec
