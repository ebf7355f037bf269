// `job.log_policies`: what lines of the ranks' output mean.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <string>

#include "jobspec/config.h"
#include "jobspec/error.h"
#include "jobspec/value.h"

namespace lctl::jobspec {

// Reads the list `given`, bounded as in proto/lctl/v1/job.proto, into `out`. `key` is its path.
// Patterns are held against options.pattern_problem, where there is one.
void read_log_policies(const Value& given, const std::string& key, const ParseOptions& options,
                       google::protobuf::RepeatedPtrField<v1::LogPolicy>& out, Findings& findings);

}  // namespace lctl::jobspec
