// The two maps of texts in the `job` section: environment variables and tags.
#pragma once

#include <google/protobuf/map.h>

#include <string>

#include "jobspec/error.h"
#include "jobspec/value.h"

namespace lctl::jobspec {

using Texts = google::protobuf::Map<std::string, std::string>;

// Both read the map `given` into `out`. A value is a text or an int; a bool, a float
// and an int such as 0x1F are refused, since they would reach the ranks with another spelling.
// Names and values are bounded as in proto/lctl/v1/job.proto. `key` is the path of the map.

// Names that lctl sets itself for every rank (RANK, MASTER_ADDR, LCTL_*, …) are refused.
void read_environment(const Value& given, const std::string& key, Texts& out, Findings& findings);
void read_tags(const Value& given, const std::string& key, Texts& out, Findings& findings);

}  // namespace lctl::jobspec
