// The server's own look at a submitted job. Nothing that a client says of its spec is believed: the
// configuration text is parsed again, and the spec is what follows from it.
#pragma once

#include "base/status.h"
#include "proto/lctl/v1/job.pb.h"

namespace lctl::services {

// The spec to keep. InvalidArgument with all findings (file:line: key: …) when it is not valid.
// Input files are not looked for: they lie on the nodes. Any thread.
absl::StatusOr<v1::JobSpec> check_spec(const v1::JobSpec& sent);

}  // namespace lctl::services
