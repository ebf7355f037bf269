// The first look at a Launch: it comes over the network, and names files and processes.
#pragma once

#include "base/status.h"
#include "proto/lctl/v1/session.pb.h"

namespace lctl::agent {

// OK when every number and name in it is within its bounds and they agree with each other: then
// paths made from it stay inside the data folder. InvalidArgument names what is wrong. Pure.
absl::Status check_launch(const v1::Launch& launch);

}  // namespace lctl::agent
