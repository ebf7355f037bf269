// Bugs that a test can put into the simulated programs, to see that the invariants catch them. They
// live in the wrappers around the real code; the code itself has no such switch.
#pragma once

namespace lctl::simulation {

enum class Bug {
  kNone,
  kAcknowledgesBeforeCommit,  // server: a batch counts as stored before it is
  kActsBeforeCommit,          // server: launches before the attempt's row is durable
  kDoesNotFence,              // server: takes what a replaced attempt still sends
  kForgetsWhenSent,           // node: what was sent counts as acknowledged
  kStartsRepeatedLaunches,    // node: a repeated order starts its ranks again
};

}  // namespace lctl::simulation
