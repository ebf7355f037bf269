// Checks between keys, on a configuration whose keys are each right: what Lightning or torch
// refuses when it builds the objects, and names that nothing will ever log.
#pragma once

#include "jobspec/config.h"
#include "jobspec/error.h"

namespace lctl::jobspec {

void check_consistency(const Config& config, Command command, Findings& findings);

}  // namespace lctl::jobspec
