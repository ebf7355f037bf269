// The key table as documentation: the second half of docs/job_file.md is made of it.
#pragma once

#include <string>

namespace lctl::jobspec {

// The line of docs/job_file.md behind which everything is generated.
inline constexpr char kReferenceMark[] =
    "<!-- Made of jobspec/keys: bazel run //jobspec:write_reference -->\n";

// Markdown of all sections and classes: a table of arguments for each, a line for each layer.
std::string reference();

}  // namespace lctl::jobspec
