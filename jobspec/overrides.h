// Dotted overrides from the command line, put into the tree before any check.
#pragma once

#include <string>
#include <vector>

#include "jobspec/error.h"
#include "jobspec/value.h"

namespace lctl::jobspec {

// Applies them in order. "a.b=VALUE" sets (making maps on the way), "a.b+=VALUE" appends to a list;
// a leading "--" is allowed; parts that are numbers are list indices; VALUE is YAML. For the class
// sections (model, data, optimizer, lr_scheduler) LightningCLI's short forms work:
// `--optimizer=Adam` names the class, `--optimizer.lr=0.1` is an argument of it.
void apply_overrides(const std::vector<std::string>& overrides, Value& tree, Findings& findings);

}  // namespace lctl::jobspec
