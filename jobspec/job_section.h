// The `job` section, and how it and `trainer` agree on nodes and devices.
#pragma once

#include "jobspec/config.h"
#include "jobspec/error.h"
#include "jobspec/value.h"

namespace lctl::jobspec {

// Reads `job` of the tree into a JobSpec (all but config_yaml, config_name, submit_dir). What only
// one of `job.resources` and `trainer` says about nodes, devices and accelerator is copied to the
// other, in the tree too; a contradiction is a finding that names both places. job.name defaults to
// the stem of the file and is written into the tree.
v1::JobSpec parse_job(Value& tree, const ParseOptions& options, Findings& findings);

}  // namespace lctl::jobspec
