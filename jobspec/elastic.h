// `job.elastic`: on how many nodes a job may run.
#pragma once

#include "jobspec/config.h"
#include "jobspec/error.h"
#include "jobspec/value.h"

namespace lctl::jobspec {

// Reads the section `given` (null: there is none) into the spec, and into the tree how many nodes
// the job has when nothing else says it: the most.
void read_elastic(const Value& given, Value& tree, const ParseOptions& options, v1::JobSpec& spec,
                  Findings& findings);

// Of a configuration whose keys are each right: whether its batches can be dealt out to other
// numbers of nodes, and to which (JobSpec.elastic.node_counts).
void settle_elastic(Config& config, Command command, Findings& findings);

}  // namespace lctl::jobspec
