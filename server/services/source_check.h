// The server's own look at the code that a client says a job was submitted from.
#pragma once

#include "absl/status/status.h"
#include "proto/lctl/v1/job.pb.h"

namespace lctl::services {

// The bounds of proto/lctl/v1/job.proto. InvalidArgument that names the field.
absl::Status check_source(const v1::SourceCode& source);

}  // namespace lctl::services
