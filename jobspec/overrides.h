// Dotted overrides from the command line, put into the tree before any check.
#pragma once

#include <string>
#include <vector>

#include "jobspec/error.h"
#include "jobspec/value.h"

namespace lctl::jobspec {

// Applies them in order. "a.b=VALUE" sets (making maps on the way), "a.b+=VALUE" appends to a list;
// a leading "--" is allowed; parts that are numbers are list indices; VALUE is YAML. LightningCLI's
// short forms work where a class stands (model, data, optimizer, lr_scheduler, each callback and
// logger): "--optimizer=Adam" names the class and keeps those arguments that it has too,
// "--optimizer.lr=0.1" is an argument, and "--trainer.callbacks.patience=5" one of the last
// callback.
void apply_overrides(const std::vector<std::string>& overrides, Value& tree, Findings& findings);

}  // namespace lctl::jobspec
