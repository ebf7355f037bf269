// Which of a job's checkpoints is meant.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/lctl/v1/checkpoint.pb.h"

namespace lctl::cli {

// By id, the start of an id, or one of the words best, last, newest; "" = best, else newest. `all`
// are those of `job`, oldest first. NotFound or InvalidArgument, saying how to name another.
absl::StatusOr<v1::Checkpoint> choose_checkpoint(const std::vector<v1::Checkpoint>& all,
                                                 const std::string& wanted, const std::string& job);

}  // namespace lctl::cli
